// Any text is a file of bans or a sentence; and what is read is written the same.
#include <cstdlib>

#include "admission/ban_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::admission;
  const auto file = decode({reinterpret_cast<const char*>(data), size});
  if (!file) return 0;
  const auto again = decode(encode(*file));
  if (!again || again->bans != file->bans || again->next_id != file->next_id) std::abort();
  return 0;
}
