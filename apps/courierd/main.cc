#include "program.h"

int main(int argc, char** argv) {
  return courier::courierd::main(argc, argv);
}
