// Eclipse Paho C (the synchronous MQTTClient) against a broker.
// Usage: paho_c HOST PORT
#include <MQTTClient.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kPatienceMs = 20'000;
std::string server;

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

void expect(const std::string& what, bool right) {
  if (!right) give_up("wrong: " + what);
  std::printf("ok: %s\n", what.c_str());
}

struct Received {
  std::string topic, payload;
  int qos = 0;
  bool retained = false;
  std::string content_type, response_topic, correlation_data;
  std::vector<std::pair<std::string, std::string>> user;
  int expiry = -1, identifier = -1;
};

std::string text_of(const MQTTLenString& text) {
  return {text.data, static_cast<size_t>(text.len)};
}

class Client {
 public:
  Client(int version, const std::string& id, bool clean = true, const std::string& will_topic = {})
      : version_(version) {
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = version;
    check(MQTTClient_createWithOptions(&client_, server.c_str(), id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                                       nullptr, &create),
          "create");
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions& used = version == MQTTVERSION_5 ? options5 : options;
    used.MQTTVersion = version;
    used.keepAliveInterval = 30;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    will.topicName = will_topic.c_str();
    will.message = "gone";
    will.qos = 1;
    if (!will_topic.empty()) used.will = &will;
    if (version != MQTTVERSION_5) {
      used.cleansession = clean;
      check(MQTTClient_connect(client_, &used), "connect");
      session_present = used.returned.sessionPresent != 0;
      return;
    }
    used.cleanstart = clean;
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTProperty expiry{};
    expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
    expiry.value.integer4 = clean ? 0 : 3600;
    MQTTProperties_add(&properties, &expiry);
    MQTTResponse response = MQTTClient_connect5(client_, &used, &properties, nullptr);
    check(response.reasonCode, "connect");
    session_present = used.returned.sessionPresent != 0;
    MQTTResponse_free(response);
    MQTTProperties_free(&properties);
  }
  ~Client() { MQTTClient_destroy(&client_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void subscribe(const std::string& topic, int qos, int identifier = 0) {
    if (version_ != MQTTVERSION_5)
      return check(MQTTClient_subscribe(client_, topic.c_str(), qos), "subscribe");
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTProperty property{};
    property.identifier = MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER;
    property.value.integer4 = static_cast<unsigned>(identifier);
    if (identifier > 0) MQTTProperties_add(&properties, &property);
    MQTTResponse response = MQTTClient_subscribe5(client_, topic.c_str(), qos, nullptr, &properties);
    if (static_cast<int>(response.reasonCode) != qos) give_up("subscribe was refused");
    MQTTResponse_free(response);
    MQTTProperties_free(&properties);
  }

  void publish(const std::string& topic, const std::string& payload, int qos, bool retained = false,
               MQTTProperties* properties = nullptr) {
    MQTTClient_message message = MQTTClient_message_initializer;
    message.payload = const_cast<char*>(payload.data());
    message.payloadlen = static_cast<int>(payload.size());
    message.qos = qos;
    message.retained = retained;
    if (properties) message.properties = *properties;
    MQTTClient_deliveryToken token = 0;
    if (version_ == MQTTVERSION_5) {
      MQTTResponse response = MQTTClient_publishMessage5(client_, topic.c_str(), &message, &token);
      check(response.reasonCode, "publish");
      MQTTResponse_free(response);
    } else {
      check(MQTTClient_publishMessage(client_, topic.c_str(), &message, &token), "publish");
    }
    if (qos > 0) check(MQTTClient_waitForCompletion(client_, token, kPatienceMs), "acknowledgement");
  }

  Received receive() {
    char* topic = nullptr;
    int length = 0;
    MQTTClient_message* message = nullptr;
    check(MQTTClient_receive(client_, &topic, &length, &message, kPatienceMs), "receive");
    if (!message) give_up("no message came");
    Received received{
        topic,        {static_cast<const char*>(message->payload), static_cast<size_t>(message->payloadlen)},
        message->qos, message->retained != 0,
        {},           {},
        {},           {}};
    for (int i = 0; i < message->properties.count; ++i) {
      const MQTTProperty& property = message->properties.array[i];
      switch (property.identifier) {
        case MQTTPROPERTY_CODE_CONTENT_TYPE:
          received.content_type = text_of(property.value.data);
          break;
        case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
          received.response_topic = text_of(property.value.data);
          break;
        case MQTTPROPERTY_CODE_CORRELATION_DATA:
          received.correlation_data = text_of(property.value.data);
          break;
        case MQTTPROPERTY_CODE_USER_PROPERTY:
          received.user.emplace_back(text_of(property.value.data), text_of(property.value.value));
          break;
        case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL:
          received.expiry = static_cast<int>(property.value.integer4);
          break;
        case MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER:
          received.identifier = static_cast<int>(property.value.integer4);
          break;
        default:
          break;
      }
    }
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return received;
  }

  void close() {
    check(version_ == MQTTVERSION_5 ? MQTTClient_disconnect5(client_, 1000, MQTTREASONCODE_SUCCESS, nullptr)
                                    : MQTTClient_disconnect(client_, 1000),
          "disconnect");
  }

  bool session_present = false;

 private:
  static void check(int code, const char* what) {
    if (code != MQTTCLIENT_SUCCESS) give_up(std::string(what) + " failed: " + std::to_string(code));
  }

  const int version_;
  MQTTClient client_ = nullptr;
};

void messages_of_each_qos(int version, const std::string& name) {
  Client client(version, "c-" + name + "-qos");
  for (int qos = 0; qos <= 2; ++qos) {
    const std::string topic = "c/" + name + "/qos/" + std::to_string(qos);
    client.subscribe(topic, qos);
    client.publish(topic, "hello", qos);
    const Received got = client.receive();
    expect(name + ": QoS " + std::to_string(qos),
           got.topic == topic && got.payload == "hello" && got.qos == qos);
  }
  client.close();
}

void retained(int version, const std::string& name) {
  const std::string topic = "c/" + name + "/retained";
  Client client(version, "c-" + name + "-retained");
  client.publish(topic, "kept", 2, true);
  client.subscribe(topic, 2);
  const Received got = client.receive();
  expect(name + ": retained", got.payload == "kept" && got.retained);
  client.publish(topic, "", 1, true);
  client.close();
}

// In a process of its own, which is killed: the library has no other way to break a connection off.
void will(int version, const std::string& name) {
  const std::string topic = "c/" + name + "/will";
  Client listener(version, "c-" + name + "-listener");
  listener.subscribe(topic, 1);
  int pipe[2];
  if (::pipe(pipe) != 0) give_up("pipe");
  const pid_t bearer = ::fork();
  if (bearer == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "paho_c", server.c_str(), std::to_string(version).c_str(), topic.c_str(),
            nullptr);
    ::_exit(127);
  }
  ::close(pipe[1]);
  char connected = 0;
  if (::read(pipe[0], &connected, 1) != 1) give_up("the bearer of the will did not connect");
  ::kill(bearer, SIGKILL);
  ::waitpid(bearer, nullptr, 0);
  ::close(pipe[0]);
  expect(name + ": will", listener.receive().payload == "gone");
  listener.close();
}

[[noreturn]] void bear_will(int version, const std::string& topic) {
  const Client bearer(version, "c-bearer-" + std::to_string(version), true, topic);
  [[maybe_unused]] const ssize_t said = ::write(STDOUT_FILENO, "!", 1);
  for (;;) ::pause();
}

void persistent_session(int version, const std::string& name) {
  const std::string topic = "c/" + name + "/session";
  {
    Client away(version, "c-" + name + "-away", false);
    away.subscribe(topic, 2);
    away.close();
  }
  Client publisher(version, "c-" + name + "-publisher");
  for (int i = 0; i < 6; ++i) publisher.publish(topic, std::to_string(i), 1 + i % 2);
  publisher.close();
  Client back(version, "c-" + name + "-away", false);
  // Of a 5.0 CONNACK the library does not tell it; what waited proves it.
  if (version == MQTTVERSION_3_1_1) expect(name + ": session present", back.session_present);
  std::string first, second;
  for (int i = 0; i < 6; ++i) {
    const Received got = back.receive();
    (got.qos == 1 ? first : second) += got.payload;
  }
  // In order for each QoS [MQTT-4.6.0-6]; between QoS 1 and 2 there is none.
  expect(name + ": a session that was away", first == "024" && second == "135");
  back.close();
}

void add_text(MQTTProperties& properties, MQTTPropertyCodes code, const char* data, size_t size,
              const char* value = "") {
  MQTTProperty property{};
  property.identifier = code;
  property.value.data = {static_cast<int>(size), const_cast<char*>(data)};
  property.value.value = {static_cast<int>(std::strlen(value)), const_cast<char*>(value)};
  MQTTProperties_add(&properties, &property);
}

void properties() {
  Client client(MQTTVERSION_5, "c-5-properties");
  client.subscribe("c/5/properties", 1, 21);
  MQTTProperties sent = MQTTProperties_initializer;
  add_text(sent, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain", 10);
  add_text(sent, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answer/here", 11);
  add_text(sent, MQTTPROPERTY_CODE_CORRELATION_DATA, "\0\1\xff", 3);
  add_text(sent, MQTTPROPERTY_CODE_USER_PROPERTY, "b", 1, "1");
  add_text(sent, MQTTPROPERTY_CODE_USER_PROPERTY, "a", 1, "2");
  MQTTProperty expiry{};
  expiry.identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL;
  expiry.value.integer4 = 1000;
  MQTTProperties_add(&sent, &expiry);
  client.publish("c/5/properties", "body", 1, false, &sent);
  const Received got = client.receive();
  using Pair = std::pair<std::string, std::string>;
  expect("5: content type, response topic, correlation data",
         got.content_type == "text/plain" && got.response_topic == "answer/here" &&
             got.correlation_data == std::string("\0\1\xff", 3));
  expect("5: user properties in order", got.user == std::vector<Pair>{{"b", "1"}, {"a", "2"}});
  expect("5: message expiry", got.expiry >= 990 && got.expiry <= 1000);
  expect("5: subscription identifier", got.identifier == 21);
  MQTTProperties_free(&sent);
  client.close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4) {
    server = argv[1];
    bear_will(std::atoi(argv[2]), argv[3]);
  }
  if (argc != 3) give_up("usage: paho_c HOST PORT");
  server = std::string("tcp://") + argv[1] + ":" + argv[2];
  for (const auto& [version, name] : {std::pair(MQTTVERSION_3_1, "3.1"),
                                      std::pair(MQTTVERSION_3_1_1, "3.1.1"), std::pair(MQTTVERSION_5, "5")}) {
    messages_of_each_qos(version, name);
    retained(version, name);
    will(version, name);
    persistent_session(version, name);
  }
  properties();
}
