// courierd on a disk that forgets and fills up, for the crash test; see store/rocksdb/faulty_file_system.h.
// The courierd that is shipped has no such door.
#include "program.h"
#include "store/rocksdb/faulty_file_system.h"

int main(int argc, char** argv) {
  courier::courierd::Adapters adapters;
  adapters.file_system = courier::store::faulty_file_system_from_environment;
  return courier::courierd::main(argc, argv, adapters);
}
