#include "gateway/connection_state.h"

namespace courier::gateway {

namespace {

using enum ConnectionState;

struct Move {
  ConnectionState from, to;
};
constexpr Move kMoves[] = {
    {proxy_header, handshake}, {proxy_header, connect}, {proxy_header, delayed}, {proxy_header, closed},
    {delayed, proxy_header},   {delayed, handshake},    {delayed, connect},      {delayed, closed},
    {handshake, connect},      {handshake, closing},    {handshake, closed},     {connect, serving},
    {connect, closing},        {connect, closed},       {serving, closing},      {serving, closed},
    {closing, closed},         {closing, lingering},    {lingering, closed},
};

}  // namespace

std::string_view name(ConnectionState state) {
  switch (state) {
    case proxy_header:
      return "proxy_header";
    case delayed:
      return "delayed";
    case handshake:
      return "handshake";
    case connect:
      return "connect";
    case serving:
      return "serving";
    case closing:
      return "closing";
    case lingering:
      return "lingering";
    case closed:
      return "closed";
  }
  return "";
}

bool may_move(ConnectionState from, ConnectionState to) {
  for (const Move& move : kMoves) {
    if (move.from == from && move.to == to) return true;
  }
  return false;
}

}  // namespace courier::gateway
