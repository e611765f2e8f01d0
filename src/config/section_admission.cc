// [admission] and [flapping]: how many may come in at a time, and who comes too often.
#include "config/sections.h"

namespace courier::config {

namespace {

template <auto Field>
Member admission() {
  return member<&Settings::admission, Field>();
}
template <auto Field>
Member flapping() {
  return member<&Settings::flapping, Field>();
}

}  // namespace

Section admission_section() {
  return {
      "admission",
      "How many may come in at a time: decided when a connection comes, before TLS, or behind its PROXY "
      "header. "
      "See admission.md. Bans are made with `courier ban`.",
      false,
      {
          {.name = "connects_per_second",
           .kind = Kind::count,
           .member = admission<&Admission::connects_per_second>(),
           .help =
               "New connections of the node. More wait for their turn, as long as delay_max and delayed_max "
               "let them; the others are closed, and a few a second are told at their CONNECT (5.0: 0x9F, "
               "3.x: return code 3). Off by default: the right number is what this machine does, see "
               "admission.md.",
           .max = 10'000'000,
           .zero_means = "any number",
           .reloadable = true},
          {.name = "connects_burst",
           .kind = Kind::count,
           .member = admission<&Admission::connects_burst>(),
           .help = "So many at once when none came before.",
           .max = 10'000'000,
           .zero_means = "as many as in a second",
           .reloadable = true},
          {.name = "source_connects_per_second",
           .kind = Kind::count,
           .member = admission<&Admission::source_connects_per_second>(),
           .help =
               "The same for each source: the client's address (behind a PROXY header the real one), or the "
               "network of source_prefix_v4 or source_prefix_v6 around it. Many phones share an address: a "
               "mobile network's, an office's, a balancer's that sends no PROXY header.",
           .max = 10'000'000,
           .zero_means = "any number",
           .reloadable = true},
          {.name = "source_connects_burst",
           .kind = Kind::count,
           .member = admission<&Admission::source_connects_burst>(),
           .help = "So many at once when none came from there before.",
           .max = 10'000'000,
           .zero_means = "as many as in a second",
           .reloadable = true},
          {.name = "source_prefix_v4",
           .kind = Kind::count,
           .member = admission<&Admission::source_prefix_v4>(),
           .help = "How many bits of an IPv4 address make a source.",
           .min = 8,
           .max = 32,
           .reloadable = true},
          {.name = "source_prefix_v6",
           .kind = Kind::count,
           .member = admission<&Admission::source_prefix_v6>(),
           .help =
               "How many bits of an IPv6 address make a source. Whoever has one address has the whole /64 "
               "around it.",
           .min = 16,
           .max = 128,
           .reloadable = true},
          {.name = "source_connections_max",
           .kind = Kind::count,
           .member = admission<&Admission::source_connections_max>(),
           .help =
               "Open connections of one source. One more is closed, or told at its CONNECT (5.0: 0x97, 3.x: "
               "return code 3).",
           .max = 100'000'000,
           .zero_means = "any number",
           .reloadable = true},
          {.name = "source_strangers_max",
           .kind = Kind::count,
           .member = admission<&Admission::source_strangers_max>(),
           .help = "Of them, connections whose client was not let in yet: so that one source cannot take all "
                   "descriptors and all memory by saying nothing. One more is closed.",
           .max = 100'000'000,
           .zero_means = "any number",
           .reloadable = true},
          {.name = "delay_max",
           .kind = Kind::duration,
           .member = admission<&Admission::delay_max>(),
           .help = "How long a connection may wait for its turn, unread. It counts towards "
                   "limits.connect_timeout, of which it may take half.",
           .max = 60 * kSecond,
           .zero_means = "none waits",
           .reloadable = true},
          {.name = "delayed_max",
           .kind = Kind::count,
           .member = admission<&Admission::delayed_max>(),
           .help = "How many may wait for their turn.",
           .max = 1'000'000,
           .zero_means = "none waits",
           .reloadable = true},
      }};
}

Section flapping_section() {
  return {
      "flapping",
      "Clients that connect again and again are banned for a while, by mountpoint and client id, once it is "
      "known "
      "who they are. Never by address: behind one there may be thousands of phones.",
      false,
      {
          {.name = "connects",
           .kind = Kind::count,
           .member = flapping<&Flapping::connects>(),
           .help =
               "So many connects of one client are taken at once, and again over each `within`; one more and "
               "it is banned.",
           .max = 1'000'000,
           .zero_means = "off",
           .reloadable = true},
          {.name = "within",
           .kind = Kind::duration,
           .member = flapping<&Flapping::within>(),
           .help = "The time over which `connects` counts.",
           .min = kSecond,
           .max = kHour,
           .reloadable = true},
          {.name = "ban",
           .kind = Kind::duration,
           .member = flapping<&Flapping::ban>(),
           .help = "For how long a client that flaps is banned.",
           .min = kSecond,
           .max = 30 * kDay,
           .reloadable = true},
      }};
}

}  // namespace courier::config
