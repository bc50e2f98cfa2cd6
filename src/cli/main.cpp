#include "cli/application.h"

int main(int argc, char** argv) {
  return pippin::cli::run(argc, argv);
}
