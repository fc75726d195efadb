// What a deployment logs of what it is asked and answers.

package schemas

import (
	"fmt"
	"strings"
)

// PredictionLog says what is kept of the requests and answers of a deployment: one row an instance, in Parquet files by hour. Without a place, they are kept on the machine that serves. What is tagged personal in a dataset that the model comes from is never kept as it is.
type PredictionLog struct {
	// Sample is the share of the requests that is logged, by their id: the same requests wherever it is asked. Each row says it, so that counts can be weighted.
	Sample float64 `json:"sample,omitempty" jsonschema:"minimum=0.000001,maximum=1,default=1" part:"key"`
	// Personal says what becomes of personal columns: drop leaves them out; hash keeps an HMAC by a secret of the deployment, so that equal values stay equal and nobody can tell what they are.
	Personal string `json:"personal,omitempty" jsonschema:"enum=drop,enum=hash,default=drop" part:"key"`
	// Columns lists columns that are treated as personal besides those that datasets tag.
	Columns []string `json:"columns,omitempty" part:"key"`
	// Features names, in order, the columns of an input that has no names, such as one tensor of all features.
	Features []string `json:"features,omitempty" part:"key"`
	// Prediction names the output that is the prediction; without it, the first that is one value an instance and no score.
	Prediction string `json:"prediction,omitempty" part:"key"`
	// Score names the output that is the score, such as probability or predict_proba.1; without it, the first whose name says that it is one.
	Score string `json:"score,omitempty" part:"key"`
	// Bodies keeps requests and answers that no known protocol explains, up to 64 KiB each. Where a column is personal none is kept.
	Bodies bool `json:"bodies,omitempty" part:"key"`
	// Every is the longest that a row waits until it is written; what a crash can lose.
	Every Duration `json:"every,omitempty" jsonschema:"default=1m" part:"key"`
	// Keep is how long files are kept on the machine; a bucket and a topic have rules of their own.
	Keep Duration `json:"keep,omitempty" jsonschema:"default=90d" part:"key"`
	// Room bounds what files may take on the machine, in GiB; what has no room is dropped and counted.
	Room int `json:"room,omitempty" jsonschema:"minimum=1,maximum=65536,default=10" part:"key"`
	// Dir is an absolute folder outside the repository, below which each deployment has one.
	Dir string `json:"dir,omitempty" part:"key"`
	// S3 is a bucket; each deployment has a prefix below the one given. The machine that serves keeps files until they are there.
	S3 *S3 `json:"s3,omitempty" part:"key"`
	// Kafka is a topic, to which each row is sent as a record of JSON. The machine that serves keeps files until the brokers have what is in them.
	Kafka *LogTopic `json:"kafka,omitempty" part:"key"`
}

// LogTopic is a topic that rows are sent to. It is there already: its partitions and how long it keeps records are its own affair. Several deployments may share one.
type LogTopic struct {
	// Brokers are those that are asked first, each as host:port.
	Brokers []string `json:"brokers" jsonschema:"required,minItems=1,maxItems=32" part:"key"`
	// Topic is its name.
	Topic string `json:"topic" jsonschema:"required,pattern=^[A-Za-z0-9._-]+$,maxLength=249" part:"key"`
	// TLS encrypts the connections, and proves who the brokers are.
	TLS *LogTLS `json:"tls,omitempty" part:"key"`
	// SASL signs in by a name and a password.
	SASL *KafkaSASL `json:"sasl,omitempty" part:"key"`
}

// LogTLS says whom connections trust, and who we are to them. What serves has no repository at hand: all is in variables.
type LogTLS struct {
	// CA names the variable that holds, as PEM, the authorities that sign the brokers' certificates; without it, the machine's.
	CA string `json:"ca,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	// Certificate names the variable that holds our certificate as PEM, and Key the one with its private key; without them, we show none.
	Certificate string `json:"certificate,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	Key         string `json:"key,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
}

// Variables are the names of the variables that the topic is reached with.
func (t LogTopic) Variables() (out []string) {
	if t.SASL != nil {
		out = append(out, t.SASL.User, t.SASL.Password)
	}
	if t.TLS != nil {
		for _, name := range []string{t.TLS.CA, t.TLS.Certificate, t.TLS.Key} {
			if name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}

// Addresses are the topic at each of its brokers, as kafka://host:port/topic.
func (t LogTopic) Addresses() []string {
	out := make([]string, len(t.Brokers))
	for i, b := range t.Brokers {
		out[i] = "kafka://" + b + "/" + t.Topic
	}
	return out
}

func (t *LogTopic) check(d *document, field string) {
	if t == nil {
		return
	}
	checkBrokers(d, field, t.Brokers)
	checkLogin(d, field, t.SASL, t.TLS != nil)
	if t.TLS != nil {
		checkPair(d, field+".tls", t.TLS.Certificate, t.TLS.Key)
	}
}

// check reports what a schema cannot say of a log.
func (l *PredictionLog) check(c *checker, d *document, field string) {
	if l == nil {
		return
	}
	c.duration(d, field+".every", l.Every)
	c.duration(d, field+".keep", l.Keep)
	c.outside(d, field+".dir", l.Dir)
	l.S3.check(d, field+".s3")
	l.Kafka.check(d, field+".kafka")
	switch places := []bool{l.Dir != "", l.S3 != nil, l.Kafka != nil}; {
	case places[0] && places[1]:
		d.problem(field+".s3", "and dir are both given, but the log is in one place; remove one of them")
	case places[2] && (places[0] || places[1]):
		d.problem(field+".kafka", "is not the only place that is given, but the log is in one; remove the others")
	}
	if l.S3 != nil && l.S3.Anonymous {
		d.problem(field+".s3.anonymous", "cannot be: the log is written to; remove it")
	}
	seen := map[string]bool{}
	for i, name := range l.Features {
		if seen[strings.ToLower(name)] {
			d.problem(fmt.Sprintf("%s.features.%d", field, i), "%s is listed twice, letter case aside; name each column once", short(name))
		}
		seen[strings.ToLower(name)] = true
	}
	if l.Prediction != "" && l.Prediction == l.Score {
		d.problem(field+".score", "is the prediction as well; name another output, or remove it")
	}
}

// Logged is what logs the predictions of what it serves.
type Logged interface {
	// Logs is what it logs; nil is nothing.
	Logs() *PredictionLog
}

// Logs is what the deployment logs.
func (s *Deployment) Logs() *PredictionLog { return s.Log }
