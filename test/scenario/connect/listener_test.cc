// Listeners: each its own door, and with a mountpoint its own house: client ids and topics do not cross.
// Configuration reference, [[listener]].
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {

TEST(Listener, ServesIpv6) {
  COURIER_ONLY();
  ONE_NODE("a machine has one ::1, and no second node can listen there");
  if (!Client::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
  Broker broker({.toml = "[[listener]]\nname = \"six\"\nbind = \"[::1]:{port}\"\n"});
  Client four({.client_id = "four"}, broker.port());
  four.subscribe("t", 1);
  Client six = Client::open_ipv6(broker.extra_port());
  EXPECT_EQ(six.handshake({.client_id = "six"}).reason, 0);
  six.publish("t", "over IPv6", 1);
  four.message("over IPv6");
  six.disconnect();
  broker.expect_in_log("[::1]:");
}

TEST(Listener, MountpointIsASpaceOfItsOwn) {
  COURIER_ONLY();
  Broker broker(
      {.toml = "[[listener]]\nname = \"tenant\"\nbind = \"127.0.0.1:{port}\"\nmountpoint = \"tenant-a\"\n"});
  Client outside(persistent(v5, "phone"), broker.port()),
      inside(persistent(v5, "phone"), broker.extra_port());
  // The same client id on both sides: nobody is taken over.
  outside.subscribe({{"#", 1}});
  inside.subscribe({{"#", 1}});
  Client publisher({.client_id = "outside"}, broker.port()),
      tenant({.client_id = "inside"}, broker.extra_port());
  publisher.publish("orders", "outside", 1, true);
  tenant.publish("orders", "inside", 1, true);
  EXPECT_EQ(outside.message("outside").topic, "orders");
  EXPECT_EQ(inside.message("inside").topic, "orders");
  outside.expect_nothing_but_marker(publisher);
  inside.expect_nothing_but_marker(tenant);
  // Nor do retained messages cross.
  Client later({.client_id = "later"}, broker.extra_port());
  later.subscribe("orders", 1);
  later.message("inside");
  later.expect_nothing_but_marker(tenant);
}

}  // namespace courier::scenario
