// What another process says: the first byte chooses the frame, the rest is its body.
#include <cstddef>
#include <cstdint>

#include "load/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::load;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
      (void)read_hello(body);
      break;
    case 1:
      (void)read_preparation(body);
      break;
    case 2:
      (void)read_report(body);
      break;
    case 3:
      (void)read_mail(body);
      break;
    case 4:
      (void)read_texts(body);
      break;
    case 5:
      (void)read_number(body);
      break;
    case 6:
      (void)read_refusal(body);
      break;
    case 7:
      (void)read_stage_begin(body);
      break;
    case 8:
      (void)read_share_news(body);
      break;
  }
  return 0;
}
