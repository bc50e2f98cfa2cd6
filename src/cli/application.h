// The whole command line tool.
#pragma once

namespace pippin::cli {

int run(int argc, char** argv);

}  // namespace pippin::cli
