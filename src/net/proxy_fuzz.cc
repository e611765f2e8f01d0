// The PROXY decoder sees whatever the network sends first, before anybody is authenticated. Checked here:
// it never reads beyond its input, its answers for growing input agree, and what it read survives being
// written.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "net/limits.h"
#include "net/proxy_header.h"

using namespace courier::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyDecoded decoded = decode_proxy_header(bytes);

  if (const auto* more = std::get_if<ProxyNeedMore>(&decoded)) {
    // Memory is bounded: nobody is asked for more once a limit is reached.
    CHECK(size < kProxyV2SizeMax);
    CHECK(more->total == 0 || (more->total > size && more->total <= kProxyV2SizeMax));
  }

  const auto* header = std::get_if<ProxyHeader>(&decoded);
  // A prefix of a header is never refused, and what follows a header does not matter to it.
  for (size_t cut = 0; cut < size; cut += 1 + size / 16) {
    const ProxyDecoded prefix = decode_proxy_header(bytes.substr(0, cut));
    if (header == nullptr) {
      // What was refused or taken early stays so.
      if (std::holds_alternative<NotProxy>(prefix)) CHECK(std::holds_alternative<NotProxy>(decoded));
      if (std::holds_alternative<ProxyViolation>(prefix))
        CHECK(std::holds_alternative<ProxyViolation>(decoded));
      CHECK(!std::holds_alternative<ProxyHeader>(prefix));
    } else if (cut < header->size) {
      CHECK(std::holds_alternative<ProxyNeedMore>(prefix));
    } else {
      CHECK(std::get<ProxyHeader>(prefix) == *header);
    }
  }
  if (header == nullptr) return 0;

  CHECK(header->size <= size && header->size <= kProxyV2SizeMax);
  CHECK(header->source.has_value() == header->destination.has_value());
  CHECK(!header->local || (!header->source && !header->tls));
  // A checksum may not fit any more behind a header of the very largest size.
  const bool checksum = header->size + 7 <= kProxyV2SizeMax;
  ProxyHeader again = std::get<ProxyHeader>(decode_proxy_header(encode_proxy_v2(*header, checksum)));
  again.version = header->version;
  again.size = header->size;
  // Families mixed by way of mapped addresses, and an IPv6 pair that is IPv4 on both sides, come back the
  // same.
  CHECK(again == *header);

  ProxyHeader line = std::get<ProxyHeader>(decode_proxy_header(encode_proxy_v1(*header)));
  CHECK(line.size <= kProxyV1SizeMax);
  if (header->source && header->source->is_ip()) {
    CHECK(line.source == header->source && line.destination == header->destination);
  }
  return 0;
}
