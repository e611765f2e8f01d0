// What a target says to a CONNECT, asked once more after a run in which no client got anywhere: the person
// who reads "the server broke the protocol" wants to know what it said instead.
#pragma once

#include <string>
#include <string_view>

#include "client/client.h"

namespace courier::load {

// Half a sentence: "it answers CONNECT with "HTTP/1.1 400", which is not MQTT: …". Empty when it answers with
// a CONNACK. BLOCKS for kKnockMs and kGreetingMs at most. `preamble` goes first: a PROXY header, for one.
std::string describe_greeting(const client::Endpoint& endpoint, mqtt::Version version,
                              std::string_view preamble);

}  // namespace courier::load
