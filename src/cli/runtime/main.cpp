// pippin-runtime: the same command line, linked with what runs models.
#include "cli/application.h"
#include "cli/runtime/runs.h"

int main(int argc, char** argv) {
  return pippin::cli::run(argc, argv, {&pippin::cli::run_generate, &pippin::cli::run_cache_prompt});
}
