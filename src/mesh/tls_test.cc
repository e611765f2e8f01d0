// Links over TLS: both ends prove who they are.
#include <gtest/gtest.h>

#include "mesh/mesh_test_bed.h"
#include "net/tls/tls_test_authority.h"

namespace courier::mesh {
namespace {

using net::tls::TestAuthority;
using net::tls::TestFolder;

struct Tls : testing::Test {
  TestFolder folder;
  TestAuthority authority{"Cluster CA"};
  TestAuthority other{"Another CA"};

  Options options(const std::string& id, const TestAuthority& issuer, const std::vector<std::string>& dns) {
    Options made = test_options(id);
    const auto issued = issuer.issue({.common_name = dns.empty() ? id : "somebody", .dns = dns});
    made.tls = TlsFiles{.certificate = folder.write(id + ".pem", issued.certificate),
                        .key = folder.write(id + ".key", issued.key),
                        .ca = folder.write("ca.pem", authority.certificate())};
    return made;
  }
  // Two that know each other; whether they will is another matter.
  static void introduce(TestNode& a, TestNode& b) {
    a.mesh->set_members({a.member(), b.member()});
    b.mesh->set_members({a.member(), b.member()});
  }
};

TEST_F(Tls, MessagesAndStreamsPass) {
  TestNode a(1, options("node-1", authority, {"node-1"}),
             [](NodeEpoch, uint16_t, std::string_view, Reply reply) {
               for (int i = 0; i < 3; ++i) EXPECT_TRUE(reply.send(std::string(kPieceBytesMax, 'x')));
               reply.end();
             });
  TestNode b(2, options("node-2", authority, {"Node-2", "other.name"}));
  TestNode c(3, options("node-3", authority, {}));  // its name is the common name
  join({&a, &b, &c});
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(b.mesh->sender(0).deliver(a.epoch, deliver_of("t", std::string(i, 'x'))));
    ASSERT_TRUE(a.mesh->sender(0).deliver(c.epoch, deliver_of("t", std::string(i, 'x'))));
  }
  a.mesh->sender(0).flush();
  b.mesh->sender(0).flush();
  EXPECT_EQ(a.handler.await_delivers(1000).back().message->payload.size(), 999u);
  EXPECT_EQ(c.handler.await_delivers(1000).back().message->payload.size(), 999u);
  std::mutex mutex;
  std::condition_variable changed;
  size_t bytes = 0;
  bool over = false;
  b.mesh->request(a.epoch, 1, "", 3600 * kNsPerSecond, [&](Answer answer) {
    const std::lock_guard lock(mutex);
    bytes += answer.piece.size();
    over = answer.kind == Answer::Kind::ended;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, kTestPatience, [&] { return over; }));
  EXPECT_EQ(bytes, 3 * kPieceBytesMax);
}

TEST_F(Tls, ACertificateOfAnotherAuthorityIsRefusedOnBothSides) {
  TestNode a(1, options("node-1", authority, {"node-1"}));
  TestNode stranger(2, options("node-2", other, {"node-2"}));
  introduce(a, stranger);
  EXPECT_TRUE(comes_true([&] { return a.refused("unknown_ca") > 0; }));
  EXPECT_FALSE(a.mesh->reachable(stranger.epoch));
  // And the other way: who dials does not believe who answers.
  TestNode b(3, options("node-3", authority, {"node-3"}));
  b.mesh->set_members({stranger.member()});
  stranger.mesh->set_members({b.member()});
  EXPECT_TRUE(comes_true([&] { return stranger.refused("refused_by_peer") > 0; }));
  EXPECT_FALSE(b.mesh->reachable(stranger.epoch));
}

TEST_F(Tls, ACertificateIsGoodForItsOwnNodeOnly) {
  TestNode a(1, options("node-1", authority, {"node-1"}));
  TestNode b(2, options("node-2", authority, {"node-7"}));
  introduce(a, b);
  EXPECT_TRUE(comes_true([&] { return a.refused("certificate") > 0; }));
  TestNode c(3, options("node-3", authority, {"node-3"}));
  c.mesh->set_members({b.member()});
  b.mesh->set_members({c.member()});
  EXPECT_TRUE(comes_true([&] { return b.refused("refused_by_peer") > 0; }));
  EXPECT_FALSE(c.mesh->reachable(b.epoch));
}

TEST_F(Tls, OneNameMayStandForAllNodes) {
  Options first = options("node-1", authority, {"mesh.example"}),
          second = options("node-2", authority, {"mesh.example"});
  first.tls->name = second.tls->name = "mesh.example";
  TestNode a(1, first), b(2, second);
  join({&a, &b});
}

TEST_F(Tls, WhoDoesNotSpeakItIsRefused) {
  TestNode a(1, options("node-1", authority, {"node-1"}));
  TestNode plain(2);
  introduce(a, plain);
  EXPECT_TRUE(comes_true([&] { return a.refused("not_tls") > 0; }));
  TestNode c(3, options("node-3", authority, {"node-3"}));
  c.mesh->set_members({plain.member()});
  plain.mesh->set_members({c.member()});
  EXPECT_TRUE(comes_true([&] { return plain.refused("bad_frame") > 0; }));
  EXPECT_FALSE(a.mesh->reachable(plain.epoch));
}

TEST_F(Tls, FilesThatCannotBeUsedAreNamed) {
  Registry registry;
  Options broken = options("node-1", authority, {"node-1"});
  broken.tls->key = folder.path("nothing.key");
  const auto opened = Mesh::open(broken, registry);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("nothing.key"), std::string::npos) << opened.error().message;
  broken = options("node-1", authority, {"node-1"});
  broken.tls->ca.clear();
  EXPECT_EQ(Mesh::open(broken, registry).error().code, errc::bad_setting);
}

}  // namespace
}  // namespace courier::mesh
