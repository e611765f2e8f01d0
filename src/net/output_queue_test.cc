#include "net/output_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "net/limits.h"
#include "net/loopback_pair.h"

namespace courier::net {
namespace {

static_assert(sizeof(OutputQueue) == sizeof(void*), "an idle connection holds no buffer");

std::string read_all_there_is(int fd) {
  std::string all;
  char room[65536];
  for (;;) {
    const IoResult result = read_some(fd, room);
    if (result.status != IoStatus::done) return all;
    all.append(room, result.bytes);
  }
}

TEST(OutputQueue, KeepsNothingWhenTheKernelTookAll) {
  LoopbackPair pair = LoopbackPair::open();
  OutputQueue queue;
  const IoResult result = queue.write(pair.server.get(), "hello");
  EXPECT_EQ(result.status, IoStatus::done);
  EXPECT_EQ(result.bytes, 5u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.write(pair.server.get(), "").status, IoStatus::done);
  EXPECT_EQ(queue.flush(pair.server.get()).status, IoStatus::done);
  ASSERT_TRUE(await(pair.client.get(), POLLIN));
  EXPECT_EQ(read_all_there_is(pair.client.get()), "hello");
}

TEST(OutputQueue, DeliversEverythingInOrderToAReaderThatIsTooSlow) {
  LoopbackPair pair = LoopbackPair::open();
  set_buffer_sizes(pair.server.get(), 0, 8192);
  OutputQueue queue;
  std::mt19937 random(7);
  std::string sent, received;
  bool was_full = false;
  for (int i = 0; i < 3000; ++i) {
    std::string piece(std::uniform_int_distribution<size_t>(0, i % 50 == 0 ? 60'000 : 300)(random),
                      static_cast<char>('a' + i % 26));
    sent += piece;
    if (queue.empty() || i % 3 == 0) {
      was_full |= queue.write(pair.server.get(), piece).status == IoStatus::would_block;
    } else if (i % 3 == 1) {
      queue.append(piece);
    } else {
      queue.append_piece(std::move(piece));
    }
    if (i % 10 == 0) {
      char little[500];
      const IoResult result = read_some(pair.client.get(), little);
      received.append(little, result.bytes);
    }
  }
  EXPECT_TRUE(was_full) << "the test must reach a full socket";
  while (!queue.empty()) {
    const size_t before = queue.bytes();
    const IoResult result = queue.flush(pair.server.get());
    ASSERT_NE(result.status, IoStatus::failed);
    ASSERT_EQ(queue.bytes(), before - result.bytes);
    ASSERT_EQ(result.status == IoStatus::done, queue.empty());
    // Either the reader has something to take, or what it took made room.
    pollfd both[2] = {{pair.client.get(), POLLIN, 0}, {pair.server.get(), POLLOUT, 0}};
    ASSERT_GE(::poll(both, 2, 10'000), 1);
    received += read_all_there_is(pair.client.get());
  }
  shut_sending(pair.server.get());
  while (received.size() < sent.size()) {
    ASSERT_TRUE(await(pair.client.get(), POLLIN));
    const std::string more = read_all_there_is(pair.client.get());
    ASSERT_FALSE(more.empty()) << "the end came too soon";
    received += more;
  }
  EXPECT_EQ(received, sent);
}

TEST(OutputQueue, SendsMorePiecesThanOneCallTakes) {
  LoopbackPair pair = LoopbackPair::open();
  OutputQueue queue;
  std::string sent;
  for (size_t i = 0; i < 3 * kOutputPiecesPerWrite + 1; ++i) {
    queue.append_piece(std::string(1, static_cast<char>('a' + i % 26)));
    sent += static_cast<char>('a' + i % 26);
  }
  EXPECT_EQ(queue.flush(pair.server.get()).bytes, sent.size());
  EXPECT_TRUE(queue.empty());
  ASSERT_TRUE(await(pair.client.get(), POLLIN));
  EXPECT_EQ(read_all_there_is(pair.client.get()), sent);
}

TEST(OutputQueue, SaysThatADeadConnectionIsDeadWithoutASignal) {
  LoopbackPair pair = LoopbackPair::open();
  set_reset_on_close(pair.client.get());
  pair.client.reset();
  ASSERT_TRUE(await(pair.server.get(), POLLIN));
  OutputQueue queue;
  EXPECT_EQ(queue.write(pair.server.get(), "x").status, IoStatus::failed);
  queue.append("y");
  const IoResult result = queue.flush(pair.server.get());  // SIGPIPE would end the test here
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_NE(result.error, 0);
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace courier::net
