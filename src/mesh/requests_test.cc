// Questions between two meshes: replies in one piece and in thousands, and every way in which none comes.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <optional>

#include "mesh/mesh_test_bed.h"

namespace courier::mesh {
namespace {

constexpr MonoNs kLong = 600 * kNsPerSecond;

// Collects what is said to one request.
class Asker {
 public:
  OnAnswer callback() {
    return [this](Answer answer) {
      const std::lock_guard lock(mutex_);
      EXPECT_FALSE(over_) << "after its end";
      if (answer.kind == Answer::Kind::piece) {
        bytes_ += answer.piece.size();
        text_ += answer.piece.substr(0, 10);
        if (keeps_) kept_.push_back(std::move(answer));
      } else {
        over_ = true;
        error_ = answer.error;
      }
      changed_.notify_all();
    };
  }
  void keep() { keeps_ = true; }
  void let_go() {
    std::deque<Answer> kept;
    {
      const std::lock_guard lock(mutex_);
      keeps_ = false;
      kept.swap(kept_);
    }
  }
  std::optional<Error> await_end() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kTestPatience, [&] { return over_; }));
    return error_;
  }
  void await_bytes(size_t bytes) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kTestPatience, [&] { return bytes_ >= bytes; })) << bytes_;
  }
  size_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  bool over() {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> keeps_ = false;
  std::deque<Answer> kept_;
  size_t bytes_ = 0;
  std::string text_;
  bool over_ = false;
  std::optional<Error> error_;
};

// Sends so many bytes as fast as there is room, on whatever thread it is told of that.
class Producer : public std::enable_shared_from_this<Producer> {
 public:
  Producer(Reply reply, size_t bytes, std::atomic<size_t>& sent)
      : reply_(std::move(reply)), left_(bytes), sent_(sent) {}

  void go_on() {
    while (left_ > 0) {
      const std::string piece(std::min(left_, kPieceBytesMax), static_cast<char>('a' + count_ % 26));
      if (!reply_.send(piece)) {
        if (!reply_.gone()) reply_.on_room([self = shared_from_this()] { self->go_on(); });
        return;
      }
      ++count_;
      left_ -= piece.size();
      sent_ += piece.size();
    }
    reply_.end();
  }

 private:
  Reply reply_;
  size_t left_;
  size_t count_ = 0;
  std::atomic<size_t>& sent_;
};

// Keeps Replies for the test to answer.
struct Kept {
  TestHandler::OnRequest callback() {
    return [this](NodeEpoch, uint16_t, std::string_view, Reply reply) {
      const std::lock_guard lock(mutex);
      replies.push_back(std::move(reply));
      changed.notify_all();
    };
  }
  Reply take() {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, kTestPatience, [&] { return !replies.empty(); }));
    Reply reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Reply> replies;
};

TEST(Requests, AreAnsweredInBothDirections) {
  const auto echo = [](NodeEpoch from, uint16_t kind, std::string_view body, Reply reply) {
    EXPECT_TRUE(
        reply.send(std::to_string(from.value) + ":" + std::to_string(kind) + ":" + std::string(body)));
    EXPECT_TRUE(reply.send("!"));
    reply.end();
  };
  TestNode a(1, echo), b(2, echo);
  join({&a, &b});
  Asker from_a, from_b;
  a.mesh->request(b.epoch, 65535, "hello", kLong, from_a.callback());
  b.mesh->request(a.epoch, 0, "", kLong, from_b.callback());
  EXPECT_FALSE(from_a.await_end());
  EXPECT_FALSE(from_b.await_end());
  EXPECT_EQ(from_a.text(), "1:65535:he!");
  EXPECT_EQ(from_b.text(), "2:0:!");
}

TEST(Requests, FailInWords) {
  TestNode a(1, [](NodeEpoch, uint16_t kind, std::string_view, Reply reply) {
    if (kind == 1) reply.fail("there is no such thing");
    // Any other is dropped without a word.
  });
  TestNode b(2);
  join({&a, &b});
  Asker one, two, three, four;
  b.mesh->request(a.epoch, 1, "", kLong, one.callback());
  b.mesh->request(a.epoch, 2, "", kLong, two.callback());
  b.mesh->request(NodeEpoch(99), 1, "", kLong, three.callback());
  b.mesh->request(a.epoch, 1, std::string(kRequestBytesMax + 1, 'x'), kLong, four.callback());
  EXPECT_EQ(one.await_end()->code, errc::failed);
  EXPECT_EQ(one.await_end()->message, "there is no such thing");
  EXPECT_EQ(two.await_end()->message, "nobody answered");
  EXPECT_EQ(three.await_end()->code, errc::no_link);
  EXPECT_EQ(four.await_end()->code, errc::too_large);
}

TEST(Requests, EndAfterTheirTimeAndTheOtherSideHearsOfIt) {
  Kept kept;
  TestNode a(1, kept.callback()), b(2);
  join({&a, &b});
  Asker asker;
  b.mesh->request(a.epoch, 1, "", 20 * kNsPerMs, asker.callback());
  Reply reply = kept.take();
  EXPECT_EQ(asker.await_end()->code, errc::timed_out);
  EXPECT_TRUE(comes_true([&] { return reply.gone(); }));
  EXPECT_FALSE(reply.send("too late"));
  reply.end();
}

TEST(Requests, TooManyAtOnceAreRefusedAndLaterOnesAreNot) {
  Kept kept;
  TestNode a(1, kept.callback()), b(2);
  join({&a, &b});
  std::deque<Asker> askers(kRequestsMax + 1);
  for (Asker& one : askers) b.mesh->request(a.epoch, 1, "", kLong, one.callback());
  EXPECT_EQ(askers.back().await_end()->code, errc::busy);
  for (size_t i = 0; i < kRequestsMax; ++i) kept.take().end();
  for (size_t i = 0; i < kRequestsMax; ++i) EXPECT_FALSE(askers[i].await_end());
  Asker again;
  b.mesh->request(a.epoch, 1, "", kLong, again.callback());
  kept.take().end();
  EXPECT_FALSE(again.await_end());
}

TEST(Requests, EndWithTheirLink) {
  Kept kept;
  TestNode a(1, kept.callback());
  auto b = std::make_unique<TestNode>(2, kept.callback());
  join({&a, b.get()});
  Asker asked_by_a;
  a.mesh->request(b->epoch, 1, "", kLong, asked_by_a.callback());
  Reply of_b = kept.take();
  Asker asked_by_b;
  b->mesh->request(a.epoch, 1, "", kLong, asked_by_b.callback());
  Reply of_a = kept.take();
  std::atomic<bool> told = false;
  size_t filled = 0;
  while (of_a.send(std::string(kPieceBytesMax, 'x'))) ++filled;
  EXPECT_GE(filled, 3u);
  asked_by_b.keep();
  // It may have been told of room already: what counts is that it is told at all when the link goes.
  of_a.on_room([&] { told = true; });
  b.reset();
  EXPECT_EQ(asked_by_a.await_end()->code, errc::link_lost);
  EXPECT_EQ(asked_by_b.await_end()->code, errc::stopped);
  EXPECT_TRUE(comes_true([&] { return of_a.gone() && told; }));
  EXPECT_TRUE(of_b.gone());
  EXPECT_FALSE(of_b.send("x"));
}

// A snapshot for a node that joins, while messages flow both ways. Who asks is slow at first: nothing piles
// up.
TEST(Requests, AStreamOf64MegabytesWaitsForWhoAsksAndMessagesDoNotWaitForIt) {
  constexpr size_t kBytes = 64 * 1024 * 1024;
  std::atomic<size_t> sent = 0;
  TestNode a(1, [&](NodeEpoch, uint16_t kind, std::string_view, Reply reply) {
    if (kind == 2) {
      EXPECT_TRUE(reply.send("status"));
      return reply.end();
    }
    std::make_shared<Producer>(std::move(reply), kBytes, sent)->go_on();
  });
  TestNode b(2);
  join({&a, &b});
  Asker asker;
  asker.keep();
  b.mesh->request(a.epoch, 1, "snapshot", kLong, asker.callback());
  asker.await_bytes(3 * kPieceBytesMax);
  // Messages and small replies pass a stream that stands still.
  a.mesh->sender(0).deliver(b.epoch, deliver_of("t", "beside a stream"));
  a.mesh->sender(0).flush();
  b.handler.await_delivers(1);
  Asker status;
  b.mesh->request(a.epoch, 2, "", kLong, status.callback());
  EXPECT_FALSE(status.await_end());
  EXPECT_LE(sent, kReplyWindow);
  EXPECT_LE(asker.bytes(), kReplyWindow);
  EXPECT_FALSE(asker.over());

  asker.let_go();
  size_t delivered = 1;
  while (!asker.over()) {
    for (int i = 0; i < 10; ++i) {
      if (a.mesh->sender(0).deliver(b.epoch, deliver_of("t", std::string(1000, 'm')))) ++delivered;
      if (b.mesh->sender(0).deliver(a.epoch, deliver_of("t", std::string(1000, 'm')))) continue;
    }
    a.mesh->sender(0).flush();
    b.mesh->sender(0).flush();
    b.handler.await_delivers(delivered);
  }
  EXPECT_FALSE(asker.await_end());
  EXPECT_EQ(asker.bytes(), kBytes);
  EXPECT_EQ(sent, kBytes);
  EXPECT_GT(delivered, 10u);
}

// Who is asked has more time for as long as who asks does not take what is there.
TEST(Requests, TimeStandsStillWhileTheAskerIsSlow) {
  std::atomic<size_t> sent = 0;
  TestNode a(1, [&](NodeEpoch, uint16_t, std::string_view, Reply reply) {
    std::make_shared<Producer>(std::move(reply), 4 * kReplyWindow, sent)->go_on();
  });
  TestNode b(2);
  join({&a, &b});
  Asker asker, clock;
  asker.keep();
  b.mesh->request(a.epoch, 1, "", kNsPerSecond, asker.callback());
  asker.await_bytes(kPieceBytesMax);
  // Another request that ends after twice as long: the time of the first has come meanwhile.
  TestNode c(3);
  Kept kept;
  TestNode d(4, kept.callback());
  join({&c, &d});
  c.mesh->request(d.epoch, 1, "", 2 * kNsPerSecond, clock.callback());
  EXPECT_EQ(clock.await_end()->code, errc::timed_out);
  EXPECT_FALSE(asker.over());
  asker.let_go();
  EXPECT_FALSE(asker.await_end());
  EXPECT_EQ(asker.bytes(), 4 * kReplyWindow);
}

TEST(Requests, WhoWaitsForRoomIsLetGoWhenItEnds) {
  Kept kept;
  TestNode a(1, kept.callback()), b(2);
  join({&a, &b});
  Asker asker;
  asker.keep();
  b.mesh->request(a.epoch, 1, "", kLong, asker.callback());
  auto reply = std::make_shared<Reply>(kept.take());
  while (reply->send(std::string(kPieceBytesMax, 'x'))) {
  }
  reply->on_room([reply] { FAIL() << "there was none"; });
  const std::weak_ptr<Reply> watched = reply;
  reply->end();
  reply.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_FALSE(asker.await_end());
}

TEST(Requests, RepliesAndAnswersMayOutliveTheirMesh) {
  Kept kept;
  Asker asker;
  asker.keep();
  Reply reply;
  {
    TestNode a(1, kept.callback()), b(2);
    join({&a, &b});
    b.mesh->request(a.epoch, 1, "", kLong, asker.callback());
    reply = kept.take();
    EXPECT_TRUE(reply.send("one piece"));
    asker.await_bytes(9);
  }
  EXPECT_TRUE(reply.gone());
  EXPECT_FALSE(reply.send("x"));
  bool told = false;
  reply.on_room([&] { told = true; });
  EXPECT_TRUE(told);
  asker.let_go();
}

}  // namespace
}  // namespace courier::mesh
