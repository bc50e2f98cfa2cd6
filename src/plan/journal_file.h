// Name of the journal that a conversion keeps inside the folder it writes to: the executor keeps it, and the package
// stage removes it when the output is complete.
#pragma once

namespace pippin {

inline constexpr const char* journal_file = ".pippin-journal";

}  // namespace pippin
