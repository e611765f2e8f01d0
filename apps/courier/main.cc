#include "courier/command.h"

int main(int argc, char** argv) {
  return courier::cli::run(argc, argv);
}
