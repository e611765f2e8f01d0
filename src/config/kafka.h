// How Kafka is reached, for every section that says it: [[sink]] of courierd, [kafka] of a relay. The keys,
// and what librdkafka is told for them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

// librdkafka's names and values: brokers, security, and the further properties, which win. Reads the
// password's file: may wait for a disk. Error: that cannot be read.
Result<std::vector<std::pair<std::string, std::string>>> kafka_properties(const KafkaConnection& from);

// "NAME=VALUE"
std::optional<std::string> check_kafka_property(std::string_view text);

// Path leads to the KafkaConnection.
template <auto... Path>
std::vector<Key> kafka_keys() {
  return {
      {.name = "brokers",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::brokers>(),
       .help = "Of Kafka: HOST:PORT of some of its brokers, with commas between them.",
       .example = "kafka1:9092,kafka2:9092"},
      {.name = "security",
       .kind = Kind::choice,
       .member = member<Path..., &KafkaConnection::security>(),
       .help = "How Kafka's brokers are spoken to: with TLS (ssl), with a user name (sasl), both, or "
               "neither.",
       .choices = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"}},
      {.name = "ca_file",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::ca_file>(),
       .help = "PEM file: whom to trust instead of the authorities of this machine.",
       .check = check_input_file,
       .example = "/etc/courier/kafka-ca.pem"},
      {.name = "certificate_file",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::certificate_file>(),
       .help = "PEM file: the certificate to show, if one is asked for.",
       .check = check_input_file,
       .example = "/etc/courier/broker.pem"},
      {.name = "key_file",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::key_file>(),
       .help = "PEM file: its private key.",
       .check = check_input_file,
       .example = "/etc/courier/broker.key"},
      {.name = "sasl_mechanism",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::sasl_mechanism>(),
       .help = "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."},
      {.name = "username",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::username>(),
       .help = "As whom Kafka knows us, with sasl.",
       .example = "courier"},
      {.name = "password_file",
       .kind = Kind::text,
       .member = member<Path..., &KafkaConnection::password_file>(),
       .help = "A file with the password on its first line.",
       .check = check_input_file,
       .example = "/etc/courier/kafka-password"},
      {.name = "properties",
       .kind = Kind::text_list,
       .member = member<Path..., &KafkaConnection::properties>(),
       .help = "Further settings of librdkafka's, NAME=VALUE, as in \"message.max.bytes=2000000\".",
       .check = check_kafka_property,
       .secret = true},
  };
}

}  // namespace courier::config
