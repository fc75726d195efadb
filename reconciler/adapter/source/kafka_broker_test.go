// A broker of Kafka as the tests begin it, ask it and end it.

package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// broker is one that runs.
type broker struct {
	kafka
	dir, jars   string
	plain, tied string // its addresses
	authority   []byte
	process     *porttest.Process
}

const (
	realWait  = 4 * time.Minute // for whatever a broker does on a machine that is slow
	clusterID = "MkU3OEVBNTcwNTJENDM2Qk"
)

func newBroker(tb testing.TB) *broker {
	tb.Helper()
	jars := os.Getenv("VISHWA_KAFKA")
	if jars == "" {
		tb.Skip("VISHWA_KAFKA names no folder of Kafka's jars: make test-kafka does")
	}
	b := &broker{dir: tb.TempDir(), jars: jars}
	b.cut = -1
	b.plain, b.tied = free(tb), free(tb)
	key := b.certify(tb)
	control := free(tb)
	_, port, _ := net.SplitHostPort(b.tied)
	at := map[string]string{"plain": b.plain, "tied": b.tied, "control": control, "port": port, "key": key, "dir": b.dir}
	properties := os.Expand(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$control
listeners=CLEAR://$plain,SIGNED://$tied,CONTROLLER://$control
advertised.listeners=CLEAR://$plain,SIGNED://localhost:$port
listener.security.protocol.map=CLEAR:PLAINTEXT,SIGNED:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLEAR
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.signed.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="adminpw" user_ada="lovelace";
listener.name.signed.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$key
log.dirs=$dir/data
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2097152
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`, func(name string) string { return at[name] })
	if err := os.WriteFile(filepath.Join(b.dir, "server.properties"), []byte(properties), 0o600); err != nil {
		tb.Fatal(err)
	}
	format := exec.Command("java", b.java("kafka.tools.StorageTool", "format", "-t", clusterID, "-S", "SCRAM-SHA-512=[name=grace,password=hopper]", "-c", filepath.Join(b.dir, "server.properties"))...)
	if out, err := format.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	b.start(tb)
	tb.Cleanup(func() { b.stop() })
	var err error
	if b.cl, err = kgo.NewClient(kgo.SeedBrokers(b.plain), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(events), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.cl.Close)
	return b
}

// java is how a program of Kafka's is begun, as one that is there soon.
func (b *broker) java(class string, args ...string) []string {
	return append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, b.program(class, args...)...)
}

// program is how one is begun as Kafka's own scripts do.
func (b *broker) program(class string, args ...string) []string {
	return append([]string{"-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", b.jars + "/*", class}, args...)
}

func (b *broker) start(tb testing.TB) {
	tb.Helper()
	var err error
	if b.process, err = porttest.StartProcess(os.Environ(), true, append([]string{"java"}, b.java("kafka.Kafka", filepath.Join(b.dir, "server.properties"))...)...); err != nil {
		tb.Fatal(err)
	}
	for until := time.Now().Add(realWait); ; {
		c, err := net.DialTimeout("tcp", b.plain, time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-b.process.Done():
			tb.Fatalf("the broker ended: %s", b.process.Errors())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(until) {
			tb.Fatal("the broker does not listen")
		}
	}
}

func (b *broker) stop() {
	b.process.End()
	select {
	case <-b.process.Done():
	case <-time.After(30 * time.Second):
		b.process.Kill()
	}
}

func free(tb testing.TB) string {
	tb.Helper()
	at, err := freeport.Address("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// certify makes the broker a certificate, and gives the file that holds it with its key.
func (b *broker) certify(tb testing.TB) string {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	b.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	file := filepath.Join(b.dir, "broker.pem")
	if err := os.WriteFile(file, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), b.authority...), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// open opens a source of the topic, in the clear unless spec says otherwise.
func (b *broker) open(tb testing.TB, spec schemas.Kafka, change ...func(*Options)) *stream {
	tb.Helper()
	spec.Topic = events
	if spec.Brokers == nil {
		spec.Brokers = []string{b.plain}
	}
	o := Options{Allow: append([]string{"localhost"}, loopback...), Pace: dial.Pace{Window: realWait}, Tree: fstest.MapFS{"ca.pem": {Data: b.authority}},
		Env: env(map[string]string{"VISHWA_SOURCE_ADA": "ada", "VISHWA_SOURCE_LOVELACE": "lovelace", "VISHWA_SOURCE_GRACE": "grace", "VISHWA_SOURCE_HOPPER": "hopper", "VISHWA_SOURCE_WRONG": "hunter2"})}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(schemas.DataSource{Kafka: &spec}, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*stream)
}

// fresh has the topic be there anew.
func (b *broker) fresh(t *testing.T, configs ...string) {
	t.Helper()
	b.drop(t)
	var made [16]byte
	for until := time.Now().Add(realWait); ; time.Sleep(50 * time.Millisecond) { // a broker deletes by and by
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 10_000
		of := kmsg.NewCreateTopicsRequestTopic()
		of.Topic, of.NumPartitions, of.ReplicationFactor = events, 2, 1
		for i := 0; i+1 < len(configs); i += 2 {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
			of.Configs = append(of.Configs, c)
		}
		create.Topics = append(create.Topics, of)
		res, err := create.RequestWith(t.Context(), b.cl)
		if err == nil && res.Topics[0].ErrorCode == 0 {
			made = res.Topics[0].TopicID
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the topic is not created: %v, %+v", err, res)
		}
	}
	b.shows(t, made)
	b.cl.PurgeTopicsFromClient(events)
}

// shows awaits the topic of an id. The controller answers first, and a broker takes what was dropped for a while yet: what is written to it then is lost,
// and for a moment after that it has no topic of the name.
func (b *broker) shows(t *testing.T, made [16]byte) {
	t.Helper()
	for until := time.Now().Add(realWait); ; time.Sleep(20 * time.Millisecond) {
		ask := kmsg.NewPtrMetadataRequest()
		of := kmsg.NewMetadataRequestTopic()
		of.Topic = kmsg.StringPtr(events)
		ask.Topics = append(ask.Topics, of)
		res, err := ask.RequestWith(t.Context(), b.cl)
		if err == nil && res.Topics[0].ErrorCode == 0 && res.Topics[0].TopicID == made {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the broker does not show the topic that was created: %v, %+v", err, res)
		}
	}
}
