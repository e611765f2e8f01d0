#include "client/engine.h"

#include <algorithm>

#include <fmt/format.h>

#include "client/errc.h"
#include "client/properties.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "mqtt/topic.h"

namespace courier::client {
namespace {

Result<void> check_will(const WillMessage& will) {
  if (!mqtt::is_topic_name(will.topic) || !mqtt::is_utf8(will.topic)) {
    return fail(
        errc::invalid_argument,
        fmt::format("will topic \"{}\" is not a topic to publish to: it must be UTF-8, not be empty and not "
                    "contain + or #",
                    will.topic));
  }
  if (will.payload.size() > kStringBytesMax) {
    return fail(errc::invalid_argument, "will payload is longer than 65,535 bytes");
  }
  return client::check(will.properties);
}

}  // namespace

Engine::Engine(std::string client_id, std::shared_ptr<const ConnectOptions> options, EngineHandler& handler)
    : handler_(handler), options_(std::move(options)), client_id_(std::move(client_id)) {}

Engine::~Engine() = default;

Result<void> Engine::check(std::string_view client_id, const ConnectOptions& options) {
  const bool v5 = options.version == Version::v5;
  if (client_id.size() > kStringBytesMax || !mqtt::is_utf8(client_id)) {
    return fail(errc::invalid_argument, "client id must be UTF-8 of at most 65,535 bytes");
  }
  if (client_id.empty() && options.version == Version::v3_1) {
    return fail(errc::invalid_argument, "MQTT 3.1 needs a client id");
  }
  // [MQTT-3.1.3-7] of 3.1.1
  if (client_id.empty() && options.version == Version::v3_1_1 && !options.clean_start) {
    return fail(errc::invalid_argument, "MQTT 3.1.1 needs a client id when the session is to be kept");
  }
  for (const auto& text : {options.username, options.authentication_method}) {
    if (text && (text->size() > kStringBytesMax || !mqtt::is_utf8(*text))) {
      return fail(errc::invalid_argument,
                  "user name and authentication method must be UTF-8 of at most 65,535 bytes");
    }
  }
  for (const auto& data : {options.password, options.authentication_data}) {
    if (data && data->size() > kStringBytesMax) {
      return fail(errc::invalid_argument, "password and authentication data are limited to 65,535 bytes");
    }
  }
  if (!v5 && options.password && !options.username) {  // [MQTT-3.1.2-22] of 3.1.1
    return fail(errc::invalid_argument, "MQTT 3 has no password without a user name");
  }
  if (options.authentication_data && !options.authentication_method) {
    return fail(errc::invalid_argument, "authentication data need an authentication method");
  }
  if (options.receive_maximum == 0 || options.maximum_packet_size == 0u || options.inflight_maximum == 0) {
    return fail(errc::invalid_argument,
                "receive maximum, maximum packet size and inflight maximum start at 1");
  }
  for (const auto& [name, value] : options.user_properties) {
    if (std::max(name.size(), value.size()) > kStringBytesMax || !mqtt::is_utf8(name) ||
        !mqtt::is_utf8(value)) {
      return fail(errc::invalid_argument, "user properties must be UTF-8 of at most 65,535 bytes");
    }
  }
  return options.will ? check_will(*options.will) : Result<void>{};
}

void Engine::set_options(std::shared_ptr<const ConnectOptions> options) {
  CHECK(state_ == State::idle && options->version == options_->version);
  options_ = std::move(options);
}

Engine::Rare& Engine::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

void Engine::start(MonoNs now) {
  CHECK(state_ == State::idle);
  const ConnectOptions& options = *options_;
  const bool v5 = options.version == Version::v5;
  // In 5.0 a clean start says nothing about how the session ends; a reconnect goes on with it.
  clean_start_ =
      options.clean_start && !(v5 && connected_before_ && options.session_expiry_seconds.value_or(0) > 0);

  mqtt::Connect connect;
  connect.version = options.version;
  connect.clean_start = clean_start_;
  connect.keep_alive_seconds = options.keep_alive_seconds;
  connect.client_id = client_id_;
  connect.username = options.username;
  connect.password = options.password;
  std::string will_properties;
  if (options.will) {
    const WillMessage& will = *options.will;
    will_properties = encode_forwarded(will.properties);
    connect.will = mqtt::Will{.topic = will.topic,
                              .payload = will.payload,
                              .qos = will.qos,
                              .retain = will.retain,
                              .delay_seconds = will.delay_seconds,
                              .message_expiry_seconds = will.properties.message_expiry_seconds,
                              .forwarded_properties = will_properties};
  }
  if (v5) {
    connect.session_expiry_seconds = options.session_expiry_seconds;
    connect.receive_maximum = options.receive_maximum;
    connect.maximum_packet_size = options.maximum_packet_size;
    if (options.topic_alias_maximum > 0) connect.topic_alias_maximum = options.topic_alias_maximum;
    connect.request_response_information = options.request_response_information;
    connect.request_problem_information = options.request_problem_information;
    connect.user_properties = views_of(options.user_properties);
    connect.authentication_method = options.authentication_method;
    connect.authentication_data = options.authentication_data;
  }
  state_ = State::connecting;
  server_ = ServerLimits{};
  server_.keep_alive_seconds = options.keep_alive_seconds;
  last_received_ = now;
  answer_deadline_ = now + options.connect_timeout_ms * kNsPerMs;
  send(connect, now);
}

size_t Engine::receive(std::string_view bytes, MonoNs now) {
  if (state_ == State::connected) answer_deadline_ = 0;  // any sign of life answers a ping
  last_received_ = now;
  const mqtt::DecodeLimits limits{
      .packet_size_max = options_->maximum_packet_size.value_or(mqtt::DecodeLimits{}.packet_size_max)};
  size_t used = 0;
  while ((state_ == State::connecting || state_ == State::connected) && used < bytes.size()) {
    auto next = mqtt::decode_one(bytes.substr(used), options_->version, mqtt::Side::client, false, limits);
    if (std::holds_alternative<mqtt::NeedMore>(next)) break;
    if (const auto* violation = std::get_if<mqtt::Violation>(&next)) {
      violate(violation->reason, std::string(violation->what));
      break;
    }
    auto& decoded = std::get<mqtt::Decoded>(next);
    used += decoded.size;
    handle(decoded.packet, now);
  }
  return state_ == State::ended || state_ == State::idle ? bytes.size() : used;
}

void Engine::handle(const mqtt::Packet& packet, MonoNs now) {
  struct Visitor {
    Engine& engine;
    MonoNs now;
    void operator()(const mqtt::Connack& p) { engine.handle_connack(p, now); }
    void operator()(const mqtt::Publish& p) { engine.handle_publish(p, now); }
    void operator()(const mqtt::Puback& p) { engine.handle_puback(p, now); }
    void operator()(const mqtt::Pubrec& p) { engine.handle_pubrec(p, now); }
    void operator()(const mqtt::Pubrel& p) { engine.handle_pubrel(p, now); }
    void operator()(const mqtt::Pubcomp& p) { engine.handle_pubcomp(p, now); }
    void operator()(const mqtt::Suback& p) { engine.handle_suback(p, now); }
    void operator()(const mqtt::Unsuback& p) { engine.handle_unsuback(p, now); }
    void operator()(const mqtt::Pingresp&) {}  // receive() has taken note
    void operator()(const mqtt::Disconnect& p) { engine.handle_disconnect(p); }
    void operator()(const mqtt::Auth& p) { engine.handle_auth(p); }
    void operator()(const mqtt::Connect&) { not_for_clients("CONNECT"); }
    void operator()(const mqtt::Subscribe&) { not_for_clients("SUBSCRIBE"); }
    void operator()(const mqtt::Unsubscribe&) { not_for_clients("UNSUBSCRIBE"); }
    void operator()(const mqtt::Pingreq&) { not_for_clients("PINGREQ"); }
    void not_for_clients(std::string_view packet) {
      engine.violate(ReasonCode::protocol_error, fmt::format("{} from a server", packet));
    }
  };
  const bool opening =
      std::holds_alternative<mqtt::Connack>(packet) || std::holds_alternative<mqtt::Auth>(packet);
  if (state_ == State::connecting && !opening) {
    // [MQTT-3.2.0-1]
    return violate(ReasonCode::protocol_error, "a packet before CONNACK");
  }
  std::visit(Visitor{*this, now}, packet);
}

void Engine::handle_connack(const mqtt::Connack& connack, MonoNs now) {
  if (state_ == State::connected) {
    return violate(ReasonCode::protocol_error, "a second CONNACK");  // [MQTT-3.2.0-2]
  }
  if (connack.reason != ReasonCode::success) {
    return end({.code = make_error_code(errc::refused),
                .message = fmt::format("the server refused the connection: {}", mqtt::name(connack.reason)),
                .reason = connack.reason,
                .reason_string = std::string(connack.reason_string.value_or("")),
                .server_reference = std::string(connack.server_reference.value_or("")),
                .refused_at_connect = true});
  }
  if (connack.session_present && clean_start_) {  // [MQTT-3.2.2-2]: it was to be discarded
    return violate(ReasonCode::protocol_error, "session present after a clean start");
  }
  take_limits(connack);
  state_ = State::connected;
  connected_before_ = true;
  answer_deadline_ = 0;
  // 3.1 has no such flag: a session that was not to be cleaned must be taken for present.
  const bool present = options_->version == Version::v3_1 ? !clean_start_ : connack.session_present;
  resume_session(present, now);
  if (state_ == State::connected) handler_.on_connected(connack, present);
}

void Engine::take_limits(const mqtt::Connack& connack) {
  server_.receive_maximum = connack.receive_maximum.value_or(65'535);
  server_.topic_alias_maximum = connack.topic_alias_maximum.value_or(0);
  server_.keep_alive_seconds = connack.server_keep_alive_seconds.value_or(options_->keep_alive_seconds);
  server_.session_expiry_seconds = connack.session_expiry_seconds;
  server_.maximum_qos = connack.maximum_qos.value_or(Qos::exactly_once);
  server_.retain_available = connack.retain_available.value_or(true);
  server_.wildcards_available = connack.wildcard_subscription_available.value_or(true);
  server_.shared_available = connack.shared_subscription_available.value_or(true);
  server_.identifiers_available = connack.subscription_identifiers_available.value_or(true);
  server_.maximum_packet_size = connack.maximum_packet_size.value_or(0xFFFFFFFF);
  if (connack.assigned_client_id) client_id_ = *connack.assigned_client_id;
}

void Engine::handle_auth(const mqtt::Auth& auth) {
  if (!options_->authentication_method) {
    return violate(ReasonCode::protocol_error, "AUTH without an authentication method in CONNECT");
  }
  handler_.on_authentication(auth);
}

void Engine::handle_disconnect(const mqtt::Disconnect& disconnect) {
  if (options_->version != Version::v5) {
    return violate(ReasonCode::protocol_error, "DISCONNECT from a server");
  }
  end({.code = make_error_code(errc::refused),
       .message = fmt::format("the server closed the connection: {}", mqtt::name(disconnect.reason)),
       .reason = disconnect.reason,
       .reason_string = std::string(disconnect.reason_string.value_or("")),
       .server_reference = std::string(disconnect.server_reference.value_or(""))});
}

Result<void> Engine::authenticate(const mqtt::Auth& auth, MonoNs now) {
  const bool reauthenticate = auth.reason == ReasonCode::re_authenticate;
  if (state_ != State::connected && !(state_ == State::connecting && !reauthenticate)) {
    return fail(errc::not_connected, "AUTH needs a connection");
  }
  // [MQTT-4.12.0-5], [MQTT-4.12.1-1]: the method of the CONNECT, or none at all.
  if (!options_->authentication_method || auth.authentication_method != options_->authentication_method) {
    return fail(errc::invalid_argument, "AUTH must name the authentication method given in CONNECT");
  }
  send(auth, now);
  return {};
}

void Engine::disconnect(MonoNs now, const Farewell& farewell) {
  if (state_ != State::connecting && state_ != State::connected) return;
  if (state_ == State::connected) {
    acknowledge_delivering(now);
    if (options_->version == Version::v5) {
      send(mqtt::Disconnect{.reason = farewell.reason,
                            .session_expiry_seconds = farewell.session_expiry_seconds,
                            .user_properties = views_of(farewell.user_properties)},
           now);
    } else if (farewell.reason == ReasonCode::success) {
      send(mqtt::Disconnect{}, now);
    }
  }
  state_ = State::ended;
}

void Engine::violate(ReasonCode reason, std::string what) {
  if (options_->version == Version::v5 && state_ == State::connected) {
    // [MQTT-4.13.1-1]
    mqtt::encode(output_, mqtt::Disconnect{.reason = reason}, options_->version);
  }
  end({.code = make_error_code(errc::protocol_violation),
       .message = fmt::format("the server broke the protocol ({}): {}", mqtt::name(reason), what)});
}

void Engine::end(Ending ending) {
  state_ = State::ended;
  handler_.on_ended(ending);
}

void Engine::transport_closed() {
  if (state_ == State::idle) return;
  state_ = State::idle;
  output_ = {};
  answer_deadline_ = 0;
  delivering_ = {};
  suspend_session();
}

MonoNs Engine::next_deadline() const {
  switch (state_) {
    case State::idle:
    case State::ended:
      return kNever;
    case State::connecting:
      return answer_deadline_;
    case State::connected:
      break;
  }
  if (server_.keep_alive_seconds == 0) return kNever;
  if (answer_deadline_ != 0) return answer_deadline_;
  return std::min(last_sent_, last_received_) + server_.keep_alive_seconds * kNsPerSecond;
}

void Engine::tick(MonoNs now) {
  if (now < next_deadline()) return;
  if (answer_deadline_ != 0) {
    const bool connecting = state_ == State::connecting;
    return end({.code = make_error_code(errc::timed_out),
                .message = connecting ? "the server did not answer CONNECT in time"
                                      : "the server did not answer a ping in time"});
  }
  // Idle on one side for a whole keep-alive: the moment to ask, and to give memory back. [MQTT-3.1.2-20]
  send(mqtt::Pingreq{}, now);
  answer_deadline_ =
      now + std::min<MonoNs>(options_->ping_timeout_ms * kNsPerMs, server_.keep_alive_seconds * kNsPerSecond);
  last_received_ = now;  // the next ping is due one keep-alive after this one
  slots_.shrink();
  if (queue_.empty()) queue_.clear();
}

void Engine::send(const mqtt::Packet& packet, MonoNs now) {
  mqtt::encode(output_, packet, options_->version, server_.maximum_packet_size);
  last_sent_ = now;
}

}  // namespace courier::client
