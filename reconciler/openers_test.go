// What opens a connection, held: each place asks first whether anybody is to be asked (Env.MayAsk, which Env.MayUse and Env.MaySend ask
// too), so that --offline asks nobody; or it is listed here, with who asks before it.

package reconciler

import (
	"path/filepath"
	"regexp"
	"testing"
)

// connects is what opens a connection, or makes a client that will.
var connects = regexp.MustCompile(`\b(net\.(Dial|DialTimeout|Dialer)\b|tls\.Dial\b|http\.(Client\{|DefaultClient|Get\(|Post\()|httpx\.Transport\(|dial\.NewGuards?\(|kgo\.NewClient\(|minio\.New\(|ssh\.(Dial|NewClientConn)\(|client\.New\(|topic\.Open\(|messageschema\.OpenRegistry\(|remote\.NewRepository\()`)

// asksFirst is what a file that opens one has.
var asksFirst = regexp.MustCompile(`\bMay(Ask|Use|Send)\(`)

// askedBefore are the files that open a connection without a question, and who has asked by then.
var askedBefore = map[string]string{
	"adapter/forge/auth.go":                 "github.go, which opens the forge",
	"adapter/server/control.go":             "nobody: it is the serving host of this machine, over a socket",
	"adapter/server/process.go":             "nobody: it asks a release of this machine how it is",
	"controller/peers.go":                   "nobody: a controller, which is never offline, hands webhooks to its replicas",
	"machine/airflow/client.go":             "who opens it: source/airflow.go, tracker/airflow and launcher/service",
	"adapter/server/tfserving/tfserving.go": "ask.go, before each question",
	"adapter/source/kafka_fetch.go":         "kafka.go, which opens the source",
	"machine/bucket/resume.go":              "who opens the bucket: TestWhatOpensAPlaceAsksWhoMayHaveIt",
	"machine/bucket/s3.go":                  "who opens the bucket: TestWhatOpensAPlaceAsksWhoMayHaveIt",
	"machine/bucket/s3options.go":           "who opens the bucket: TestWhatOpensAPlaceAsksWhoMayHaveIt",
	"machine/dial/guard.go":                 "whoever dials by it",
	"machine/dispatch/worker.go":            "nobody: a worker, which is given what it is to ask",
	"machine/dockerengine/ssh.go":           "connect.go, before the way is chosen",
	"machine/egress/proxy.go":               "nobody: a run, which reaches what its declaration lists; nothing is run offline that is not declared so",
	"machine/gitremote/reach.go":            "who opens the remote: the ledger and the checkout by their own Offline, the mirror by TestWhatOpensAPlaceAsksWhoMayHaveIt",
	"machine/httpx/httpx.go":                "whoever asks by it",
	"machine/messageschema/registry.go":     "source/kafka.go, which opens the source",
	"machine/predictionlog/stream/read.go":  "server/logtopic.go, which says how the topic is reached",
	"machine/predictionlog/stream/send.go":  "server/logtopic.go, which says how the topic is reached",
	"machine/registry/wire.go":              "who opens the registry: TestWhatOpensAPlaceAsksWhoMayHaveIt",
	"machine/sandbox/group.go":              "nobody: it dials the inside of a wall",
	"machine/topic/topic.go":                "source/kafka.go, and server/logtopic.go",
	"machine/wall/dial_linux.go":            "nobody: it dials the inside of a wall",
	"machine/wall/reap_linux.go":            "nobody: it dials the inside of a wall",
}

func TestWhatOpensAConnectionAsksFirst(t *testing.T) {
	opensAfterAsking(t, connects, asksFirst, askedBefore, func(path string) bool { return programs(filepath.ToSlash(filepath.Dir(path))) })
}
