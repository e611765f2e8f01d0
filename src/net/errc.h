// What can go wrong with sockets and addresses. Errors that a bad peer causes on a live connection are not
// here: those are an IoResult (socket.h) or a ProxyViolation (proxy_header.h), because they are everyday
// events.
#pragma once

#include <string_view>
#include <system_error>

#include "base/result.h"

namespace courier::net {

enum class errc {
  bad_address = 1,  // text that is no address, or a descriptor whose address we cannot represent
  bad_network,      // text that is no CIDR network, or a PROXY setting without one
  unknown_host,     // a name that does not resolve
  address_in_use,
  address_not_available,  // not an address of this machine
  permission_denied,
  refused,
  unreachable,
  timed_out,
  out_of_resources,  // descriptors, memory, ports, epoll watches
  system,            // any other refusal by the kernel; the sentence has its words
};

const std::error_category& net_category();
std::error_code make_error_code(errc code);

// The errc for an errno value.
errc errc_of(int number);
// The kernel's words for an errno value, in our spelling: "address already in use".
std::string system_words(int number);
// "`what`: `words for number`", with the code that fits.
Error system_error(std::string_view what, int number);

}  // namespace courier::net

template <>
struct std::is_error_code_enum<courier::net::errc> : std::true_type {};
