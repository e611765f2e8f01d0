// MQTT.js against a broker.
// Usage: node interop.js HOST PORT, from a folder in which `npm ci` was run.
import assert from 'node:assert/strict'
import mqtt from 'mqtt'

const [host, port] = process.argv.slice(2)
const PATIENCE_MS = 20_000

function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

// A client whose messages can be waited for one by one.
class Client {
  static async connect(protocolVersion, clientId, options = {}) {
    const client = new Client()
    client.waiting = []
    client.messages = []
    client.mqtt = mqtt.connect({
      host,
      port: Number(port),
      protocolVersion,
      protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
      clientId,
      reconnectPeriod: 0,
      ...options,
    })
    client.mqtt.on('message', (topic, payload, packet) => {
      client.messages.push({ topic, payload: payload.toString(), packet })
      client.waiting.shift()?.()
    })
    client.connack = await within(
      new Promise((resolve, reject) => {
        client.mqtt.once('connect', resolve)
        client.mqtt.once('error', reject)
      }),
      'CONNACK',
    )
    return client
  }
  async receive() {
    if (this.messages.length === 0) await within(new Promise((resolve) => this.waiting.push(resolve)), 'a message')
    return this.messages.shift()
  }
  subscribe(topic, options) {
    return within(this.mqtt.subscribeAsync(topic, options), 'SUBACK')
  }
  publish(topic, payload, options) {
    return within(this.mqtt.publishAsync(topic, payload, options), 'PUBACK or PUBCOMP')
  }
  close() {
    return within(this.mqtt.endAsync(), 'the end')
  }
  // As if the network had failed.
  breakOff() {
    this.mqtt.stream.destroy()
  }
}

async function messagesOfEachQos(version) {
  const client = await Client.connect(version, `js-${version}-qos`)
  for (const qos of [0, 1, 2]) {
    const topic = `js/${version}/qos/${qos}`
    await client.subscribe(topic, { qos })
    await client.publish(topic, 'hello', { qos })
    const message = await client.receive()
    assert.deepEqual([message.topic, message.payload, message.packet.qos], [topic, 'hello', qos])
  }
  await client.close()
}

async function retained(version) {
  const topic = `js/${version}/retained`
  const client = await Client.connect(version, `js-${version}-retained`)
  await client.publish(topic, 'kept', { qos: 2, retain: true })
  await client.subscribe(topic, { qos: 1 })
  const message = await client.receive()
  assert.deepEqual([message.payload, message.packet.retain], ['kept', true])
  await client.publish(topic, '', { qos: 1, retain: true })
  await client.receive()
  await client.close()
}

async function will(version) {
  const topic = `js/${version}/will`
  const listener = await Client.connect(version, `js-${version}-listener`)
  await listener.subscribe(topic, { qos: 1 })
  const bearer = await Client.connect(version, `js-${version}-bearer`, {
    will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false },
  })
  bearer.breakOff()
  assert.equal((await listener.receive()).payload, 'gone')
  await listener.close()
}

async function persistentSession(version) {
  const topic = `js/${version}/session`
  const session = { clean: false, ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }) }
  const away = await Client.connect(version, `js-${version}-away`, session)
  await away.subscribe(topic, { qos: 2 })
  await away.close()
  const publisher = await Client.connect(version, `js-${version}-publisher`)
  for (let number = 0; number < 6; number += 1) await publisher.publish(topic, String(number), { qos: 1 + (number % 2) })
  await publisher.close()
  const back = await Client.connect(version, `js-${version}-away`, session)
  if (version !== 3) assert.equal(back.connack.sessionPresent, true)
  const got = { 1: [], 2: [] }
  for (let number = 0; number < 6; number += 1) {
    const message = await back.receive()
    got[message.packet.qos].push(message.payload)
  }
  // In order for each QoS [MQTT-4.6.0-6]; between QoS 1 and 2 there is none.
  assert.deepEqual(got, { 1: ['0', '2', '4'], 2: ['1', '3', '5'] })
  await back.close()
}

async function properties() {
  const topic = 'js/5/properties'
  const client = await Client.connect(5, 'js-5-properties')
  await client.subscribe(topic, { qos: 1, properties: { subscriptionIdentifier: 21 } })
  const sent = {
    contentType: 'text/plain',
    responseTopic: 'answer/here',
    correlationData: Buffer.from([0, 1, 255]),
    messageExpiryInterval: 1000,
    payloadFormatIndicator: true,
    userProperties: { b: '1', a: ['2', '3'] },
  }
  await client.publish(topic, 'body', { qos: 1, properties: sent })
  const got = (await client.receive()).packet.properties
  assert.ok(got.messageExpiryInterval >= 990 && got.messageExpiryInterval <= 1000)
  assert.deepEqual(
    [got.contentType, got.responseTopic, got.correlationData, got.payloadFormatIndicator, got.subscriptionIdentifier],
    ['text/plain', 'answer/here', sent.correlationData, true, 21],
  )
  assert.deepEqual({ ...got.userProperties }, { b: '1', a: ['2', '3'] })
  await client.close()
}

const steps = [messagesOfEachQos, retained, will, persistentSession]
for (const version of [3, 4, 5]) {
  for (const step of steps) {
    await step(version)
    console.log(`ok: ${version}: ${step.name}`)
  }
}
await properties()
console.log('ok: 5: properties')
