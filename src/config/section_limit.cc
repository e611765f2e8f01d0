// [[limit]]: how much, for whom.
#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

Section limit_section() {
  Rows limits = rows<&Settings::limit_rules>();
  limits.come_and_go = true;
  constexpr int64_t kPerSecondMax = 1'000'000'000'000;
  return {
      "limit",
      "How much a client may do; repeat the section for more. Of those that match a client, and a message, "
      "all "
      "hold: the tightest wins. What comes faster than a rate is taken, and then the client is not read "
      "until "
      "its budget is even; only what would wait longer than delay_max is refused (5.0: 0x97, a CONNECT 0x9F; "
      "QoS 0 is dropped). See limits.md.",
      true,
      {
          {.name = "name",
           .kind = Kind::text,
           .member = member<&LimitRule::name>(),
           .help =
               "Names the limit in logs, metrics, refusals and overrides (limit.NAME.messages_per_second).",
           .check = check_listener_name,
           .example = "phones",
           .reloadable = true},
          {.name = "listener",
           .kind = Kind::text,
           .member = member<&LimitRule::listener>(),
           .help = "Whom it applies to: clients of listeners of this name. In this and the next two * stands "
                   "for any characters, or none; all must match.",
           .reloadable = true},
          {.name = "mountpoint",
           .kind = Kind::text,
           .member = member<&LimitRule::mountpoint>(),
           .help = "Clients of this mountpoint. \"\" is who has none.",
           .reloadable = true},
          {.name = "username",
           .kind = Kind::text,
           .member = member<&LimitRule::username>(),
           .help = "Clients of this user name, if somebody has checked it. \"\" is everybody else.",
           .reloadable = true},
          {.name = "label",
           .kind = Kind::text,
           .member = member<&LimitRule::label>(),
           .help = "Only messages to which the access rules give this label (auth.acl_file). Empty: all.",
           .example = "chat",
           .reloadable = true},
          {.name = "per",
           .kind = Kind::choice,
           .member = member<&LimitRule::per>(),
           .help = "Who shares one budget: each connection has its own, all connections of an identity "
                   "(mountpoint and user name), of a listener, or all that match.",
           .choices = {"connection", "identity", "listener", "all"},
           .reloadable = true},
          {.name = "connections_max",
           .kind = Kind::count,
           .member = member<&LimitRule::connections_max>(),
           .help =
               "Connections at the same time. One more is refused (5.0: 0x97, 3.x: 3); a client that takes "
               "its own session over is not one more.",
           .max = 100'000'000,
           .zero_means = "no limit",
           .reloadable = true},
          {.name = "connects_per_second",
           .kind = Kind::count,
           .member = member<&LimitRule::connects_per_second>(),
           .help =
               "Clients that are let in. Those that come faster get their CONNACK later, those that would "
               "wait longer than delay_max are refused (5.0: 0x9F, 3.x: 3).",
           .max = kPerSecondMax,
           .zero_means = "no limit",
           .reloadable = true},
          {.name = "connect_burst",
           .kind = Kind::count,
           .member = member<&LimitRule::connect_burst>(),
           .help = "So many at once, after a quiet time.",
           .max = kPerSecondMax,
           .zero_means = "as many as in a second",
           .reloadable = true},
          {.name = "messages_per_second",
           .kind = Kind::count,
           .member = member<&LimitRule::messages_per_second>(),
           .help = "PUBLISHes from clients, those that the access rules refuse among them.",
           .max = kPerSecondMax,
           .zero_means = "no limit",
           .reloadable = true},
          {.name = "messages_burst",
           .kind = Kind::count,
           .member = member<&LimitRule::messages_burst>(),
           .help = "So many at once, after a quiet time.",
           .max = kPerSecondMax,
           .zero_means = "as many as in a second",
           .reloadable = true},
          {.name = "bytes_per_second",
           .kind = Kind::bytes,
           .member = member<&LimitRule::bytes_per_second>(),
           .help = "Topics and payloads of PUBLISHes from clients.",
           .max = kPerSecondMax,
           .zero_means = "no limit",
           .reloadable = true},
          {.name = "bytes_burst",
           .kind = Kind::bytes,
           .member = member<&LimitRule::bytes_burst>(),
           .help = "So many at once, after a quiet time.",
           .max = kPerSecondMax,
           .zero_means = "as many as in a second",
           .reloadable = true},
          {.name = "delay_max",
           .kind = Kind::duration,
           .member = member<&LimitRule::delay_max>(),
           .help = "The longest that a client waits for its budget. What would take longer is refused; a "
                   "message with QoS 1 or 2 from a 3.x client is waited for all the same, because such a "
                   "client cannot be told.",
           .max = kHour,
           .zero_means = "nothing is delayed, only refused",
           .reloadable = true},
          {.name = "inflight_max",
           .kind = Kind::count,
           .member = member<&LimitRule::inflight_max>(),
           .help = "QoS 1 and 2 messages on their way to one client.",
           .max = 65'535,
           .zero_means = "as limits.inflight_max says",
           .reloadable = true},
          {.name = "subscriptions_max",
           .kind = Kind::count,
           .member = member<&LimitRule::subscriptions_max>(),
           .help = "Subscriptions of one client's session. Those beyond are refused (5.0: 0x97, 3.x: 0x80).",
           .max = 1'000'000,
           .zero_means = "as limits.subscriptions_per_client_max says",
           .reloadable = true},
          {.name = "retained_messages_max",
           .kind = Kind::count,
           .member = member<&LimitRule::retained_messages_max>(),
           .help =
               "Retained messages in the client's mountpoint, whoever set them. Beyond, no new topic gets "
               "one: 5.0 is refused at QoS 1 and 2 (0x97), any other message goes out and is not kept.",
           .max = 1'000'000'000,
           .zero_means = "as limits.retained_messages_max says",
           .reloadable = true},
          {.name = "payload_bytes_max",
           .kind = Kind::bytes,
           .member = member<&LimitRule::payload_bytes_max>(),
           .help =
               "Payload of one message. A larger one is refused (5.0: 0x97); at QoS 0 it is dropped; a 3.x "
               "client that sends it with QoS 1 or 2 is disconnected.",
           .max = 256 * kMB,
           .zero_means = "as limits.packet_bytes_max allows",
           .reloadable = true},
      },
      limits};
}

}  // namespace courier::config
