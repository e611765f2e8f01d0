#include "admission/ban.h"

#include <fmt/format.h>

#include "admission/errc.h"
#include "admission/limits.h"
#include "base/utf8.h"

namespace courier::admission {

std::string_view name(BanTarget::Kind kind) {
  switch (kind) {
    case BanTarget::Kind::address:
      return "address";
    case BanTarget::Kind::username:
      return "username";
    case BanTarget::Kind::client_id:
      return "client_id";
  }
  return "";
}

Result<BanTarget> checked(BanTarget target) {
  if (target.value.empty()) return fail(errc::bad_ban, fmt::format("the {} is empty", name(target.kind)));
  if (target.kind == BanTarget::Kind::address) {
    if (target.mountpoint) {
      return fail(errc::bad_ban, "an address has no mountpoint: it is banned on every listener");
    }
    auto network = net::Cidr::parse(target.value);
    if (!network) return fail(errc::bad_ban, network.error().message);
    target.value = network->to_string();
    return target;
  }
  if (target.value.size() > kNameBytesMax || (target.mountpoint && target.mountpoint->size() > kNameBytesMax))
    return fail(errc::bad_ban, "the name is longer than a name of MQTT may be");
  return target;
}

}  // namespace courier::admission
