#include "cli/application.h"
#include "cli/runtime_runs.h"

int main(int argc, char** argv) {
  pippin::cli::hand_over(argc, argv);
  return pippin::cli::run(argc, argv, {});
}
