// Eclipse Paho C++ (async_client) against a broker.
// Usage: paho_cpp HOST PORT
#include <mqtt/async_client.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 20s;
std::string server;

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

void expect(const std::string& what, bool right) {
  if (!right) give_up("wrong: " + what);
  std::printf("ok: %s\n", what.c_str());
}

class Client {
 public:
  Client(int version, const std::string& id, bool clean = true, const std::string& will_topic = {})
      : client_(server, id, mqtt::create_options(version)) {
    client_.start_consuming();
    mqtt::connect_options options;
    options.set_mqtt_version(version);
    if (version == MQTTVERSION_5) {
      options.set_clean_start(clean);
      options.set_properties({{mqtt::property::SESSION_EXPIRY_INTERVAL, clean ? 0 : 3600}});
    } else {
      options.set_clean_session(clean);
    }
    if (!will_topic.empty()) options.set_will(mqtt::will_options(will_topic, std::string("gone"), 1, false));
    auto token = client_.connect(options);
    wait(token, "connect");
    session_present = token->get_connect_response().is_session_present();
  }

  void subscribe(const std::string& topic, int qos, int identifier = 0) {
    mqtt::properties properties;
    if (identifier > 0) properties.add({mqtt::property::SUBSCRIPTION_IDENTIFIER, identifier});
    wait(client_.subscribe(topic, qos, mqtt::subscribe_options(), properties), "subscribe");
  }

  void publish(const std::string& topic, const std::string& payload, int qos, bool retained = false,
               const mqtt::properties& properties = {}) {
    wait(client_.publish(mqtt::message::create(topic, payload, qos, retained, properties)), "publish");
  }

  mqtt::const_message_ptr receive() {
    mqtt::const_message_ptr message;
    if (!client_.try_consume_message_for(&message, kPatience) || !message) give_up("no message came");
    return message;
  }

  void close() { wait(client_.disconnect(), "disconnect"); }

  bool session_present = false;

 private:
  template <typename Token>
  static void wait(const Token& token, const char* what) {
    if (!token->wait_for(kPatience)) give_up(std::string(what) + ": no answer");
  }

  mqtt::async_client client_;
};

void messages_of_each_qos(int version, const std::string& name) {
  Client client(version, "cpp-" + name + "-qos");
  for (int qos = 0; qos <= 2; ++qos) {
    const std::string topic = "cpp/" + name + "/qos/" + std::to_string(qos);
    client.subscribe(topic, qos);
    client.publish(topic, "hello", qos);
    const auto got = client.receive();
    expect(name + ": QoS " + std::to_string(qos),
           got->get_topic() == topic && got->to_string() == "hello" && got->get_qos() == qos);
  }
  client.close();
}

void retained(int version, const std::string& name) {
  const std::string topic = "cpp/" + name + "/retained";
  Client client(version, "cpp-" + name + "-retained");
  client.publish(topic, "kept", 2, true);
  client.subscribe(topic, 2);
  const auto got = client.receive();
  expect(name + ": retained", got->to_string() == "kept" && got->is_retained());
  client.publish(topic, "", 1, true);
  client.close();
}

// In a process of its own, which is killed: the library has no other way to break a connection off.
void will(int version, const std::string& name) {
  const std::string topic = "cpp/" + name + "/will";
  Client listener(version, "cpp-" + name + "-listener");
  listener.subscribe(topic, 1);
  int pipe[2];
  if (::pipe(pipe) != 0) give_up("pipe");
  const pid_t bearer = ::fork();
  if (bearer == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "paho_cpp", server.c_str(), std::to_string(version).c_str(), topic.c_str(),
            nullptr);
    ::_exit(127);
  }
  ::close(pipe[1]);
  char connected = 0;
  if (::read(pipe[0], &connected, 1) != 1) give_up("the bearer of the will did not connect");
  ::kill(bearer, SIGKILL);
  ::waitpid(bearer, nullptr, 0);
  ::close(pipe[0]);
  expect(name + ": will", listener.receive()->to_string() == "gone");
  listener.close();
}

[[noreturn]] void bear_will(int version, const std::string& topic) {
  const Client bearer(version, "cpp-bearer-" + std::to_string(version), true, topic);
  [[maybe_unused]] const ssize_t said = ::write(STDOUT_FILENO, "!", 1);
  for (;;) ::pause();
}

void persistent_session(int version, const std::string& name) {
  const std::string topic = "cpp/" + name + "/session";
  {
    Client away(version, "cpp-" + name + "-away", false);
    away.subscribe(topic, 2);
    away.close();
  }
  Client publisher(version, "cpp-" + name + "-publisher");
  for (int i = 0; i < 6; ++i) publisher.publish(topic, std::to_string(i), 1 + i % 2);
  publisher.close();
  Client back(version, "cpp-" + name + "-away", false);
  expect(name + ": session present", back.session_present);
  std::string first, second;
  for (int i = 0; i < 6; ++i) {
    const auto got = back.receive();
    (got->get_qos() == 1 ? first : second) += got->to_string();
  }
  // In order for each QoS [MQTT-4.6.0-6]; between QoS 1 and 2 there is none.
  expect(name + ": a session that was away", first == "024" && second == "135");
  back.close();
}

void properties() {
  Client client(MQTTVERSION_5, "cpp-5-properties");
  client.subscribe("cpp/5/properties", 1, 21);
  const mqtt::properties sent{
      {mqtt::property::CONTENT_TYPE, "text/plain"}, {mqtt::property::RESPONSE_TOPIC, "answer/here"},
      {mqtt::property::CORRELATION_DATA, "0123"},   {mqtt::property::MESSAGE_EXPIRY_INTERVAL, 1000},
      {mqtt::property::USER_PROPERTY, "b", "1"},    {mqtt::property::USER_PROPERTY, "a", "2"}};
  client.publish("cpp/5/properties", "body", 1, false, sent);
  const auto message = client.receive();
  const mqtt::properties& got = message->get_properties();
  expect("5: content type, response topic, correlation data",
         mqtt::get<std::string>(got, mqtt::property::CONTENT_TYPE) == "text/plain" &&
             mqtt::get<std::string>(got, mqtt::property::RESPONSE_TOPIC) == "answer/here" &&
             mqtt::get<std::string>(got, mqtt::property::CORRELATION_DATA) == "0123");
  using Pair = mqtt::string_pair;
  expect("5: user properties in order",
         mqtt::get<Pair>(got, mqtt::property::USER_PROPERTY, 0) == Pair("b", "1") &&
             mqtt::get<Pair>(got, mqtt::property::USER_PROPERTY, 1) == Pair("a", "2"));
  const auto expiry = mqtt::get<uint32_t>(got, mqtt::property::MESSAGE_EXPIRY_INTERVAL);
  expect("5: message expiry", expiry >= 990 && expiry <= 1000);
  expect("5: subscription identifier",
         mqtt::get<uint32_t>(got, mqtt::property::SUBSCRIPTION_IDENTIFIER) == 21);
  client.close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4) {
    server = argv[1];
    bear_will(std::atoi(argv[2]), argv[3]);
  }
  if (argc != 3) give_up("usage: paho_cpp HOST PORT");
  server = std::string("tcp://") + argv[1] + ":" + argv[2];
  try {
    for (const auto& [version, name] :
         {std::pair(MQTTVERSION_3_1_1, "3.1.1"), std::pair(MQTTVERSION_5, "5")}) {
      messages_of_each_qos(version, name);
      retained(version, name);
      will(version, name);
      persistent_session(version, name);
    }
    properties();
  } catch (const mqtt::exception& e) {
    give_up(e.to_string());
  }
}
