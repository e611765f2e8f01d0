// Which reason code may stand in which packet: Table 2-6 of 5.0, with who may send it.
#pragma once

#include "mqtt/decoder.h"
#include "mqtt/protocol.h"

namespace courier::mqtt {

// Whether `sender` may put this byte into that packet. False for any byte that is no reason code.
bool may_carry(PacketType packet, uint8_t reason, Side sender);

}  // namespace courier::mqtt
