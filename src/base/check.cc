#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace courier {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "courier: internal error: CHECK(%s) failed at %s:%d; this is a bug, please report it\n",
               condition, file, line);
  std::abort();
}

}  // namespace courier
