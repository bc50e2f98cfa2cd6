// pippin-runtime: the same command line, linked with what runs models.
#include "cli/application.h"
#include "cli/runtime/runs.h"

int main(int argc, char** argv) {
  return pippin::cli::run(argc, argv,
                          {
                              .generate = &pippin::cli::run_generate,
                              .cache_prompt = &pippin::cli::run_cache_prompt,
                              .chat = &pippin::cli::run_chat,
                              .behaviour = &pippin::measure_behaviour,
                          });
}
