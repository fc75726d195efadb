// Package topic reads ranges of a Kafka topic: where its partitions stand, and the records
// between two offsets of each, as committed transactions left them. It also sends records.
package topic

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

const (
	patience = 30 * time.Second // how long a broker that is away is waited for
	answer   = 60 * time.Second // how long one answer may take to come

	maxAnswer = 128 << 20 // bytes of an answer; a batch is never cut
	maxBatch  = 64 << 20  // bytes that a batch may be inflated to
	asked     = 4 << 20   // bytes that one request asks for
)

// Options say how a topic is reached.
type Options struct {
	Brokers []string // host:port, of those that are asked first
	Topic   string
	TLS     *tls.Config // nil: in the clear
	Login   *Login      // nil: nobody
	// Allow lists the hosts and networks that may be reached although they are private.
	Allow []string
	// Unguarded has brokers reached wherever they are: who runs us has said so, and no declaration alone.
	Unguarded bool
	// Patience is how long a broker that is away is waited for; zero is as usual.
	Patience time.Duration
}

// Topic is a topic of a cluster. It may be used by several at once.
type Topic struct {
	name     string
	patience time.Duration
	client   *kgo.Client
	login    *signingIn // nil: as nobody
	// over ends all that is asked, with what no waiting would mend.
	over   context.Context
	refuse context.CancelCauseFunc
}

// Open makes ready to ask the brokers. None is asked yet.
func Open(o Options) (*Topic, error) {
	t := &Topic{name: o.Topic, patience: o.Patience}
	if t.patience == 0 {
		t.patience = patience
	}
	var hosts []string
	for _, b := range o.Brokers {
		host, _, err := net.SplitHostPort(b)
		if err != nil || host == "" {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not an address of a Kafka broker", b), "write it as host:port")
		}
		hosts = append(hosts, host)
	}
	if len(hosts) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "no broker of Kafka is named"), "name one as host:port")
	}
	guard, err := dial.NewGuards(hosts, o.Allow)
	if err != nil {
		return nil, err
	}
	t.over, t.refuse = context.WithCancelCause(context.Background())
	options := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.ClientID("vishwa"), kgo.Dialer(t.dialer(guard, o)), kgo.DisableClientMetrics(),
		kgo.DefaultProduceTopic(o.Topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// Who sends tells what came twice, so that a broker that is away keeps nobody from ending. A delivery has no timeout: it would go
		// by the records' own times, which may be of long ago.
		kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.RecordRetries(8),
		kgo.RequestTimeoutOverhead(answer), kgo.RetryTimeout(t.patience), kgo.BrokerMaxReadBytes(maxAnswer), kgo.MetadataMinAge(100 * time.Millisecond),
	}
	if o.Login != nil {
		if t.login, err = o.Login.mechanism(); err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(t.login))
	}
	if t.client, err = kgo.NewClient(options...); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "reach Kafka: %w", err), "write each broker as HOST:PORT, and see what tls and sasl declare")
	}
	return t, nil
}

// Close ends the connections.
func (t *Topic) Close() {
	t.refuse(fault.New(fault.Cancelled, "the topic was closed"))
	t.client.Close()
}

// dialer connects to the brokers that the guard lets us reach. One that is refused ends all: no
// waiting makes an address another.
func (t *Topic) dialer(guard *dial.Guard, o Options) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		reach := guard.Dial
		if o.Unguarded {
			reach = (&net.Dialer{Timeout: dial.Connect, KeepAlive: 30 * time.Second}).DialContext
		}
		conn, err := reach(ctx, network, addr)
		if err != nil {
			if denied := (*fault.Error)(nil); errors.As(err, &denied) && denied.Kind == fault.Denied {
				t.refuse(denied)
			}
			return nil, err
		}
		if o.TLS == nil {
			return conn, nil
		}
		config := o.TLS.Clone()
		config.ServerName, _, _ = net.SplitHostPort(addr)
		tied := tls.Client(conn, config)
		ctx, cancel := context.WithTimeout(ctx, dial.Connect)
		defer cancel()
		if err := tied.HandshakeContext(ctx); err != nil {
			conn.Close()
			if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
				t.refuse(fault.WithHint(fault.New(fault.Denied, "the certificate of %s is not to be trusted: %w", addr, untrusted), "name the authority that signed it in tls.ca"))
			}
			return nil, err
		}
		return tied, nil
	}
}

// during is a context of one question, which also ends with what no waiting would mend.
func (t *Topic) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.over, func() { cancel(context.Cause(t.over)) })
	return ctx, func() { stop(); cancel(nil) }
}

// failed gives an error of the brokers its kind.
func (t *Topic) failed(ctx context.Context, err error) error {
	if cause := context.Cause(t.over); cause != nil {
		return cause
	}
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.New(fault.Cancelled, "the brokers did not answer in time: %w", ctx.Err())
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "ask the brokers: %w", context.Cause(ctx))
	case isAny(err, kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState):
		return fault.WithHint(fault.New(fault.Denied, "the brokers let nobody in by this name and password: %s", kerrText(err)), "correct the user, the password or the mechanism")
	case isAny(err, kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.GroupAuthorizationFailed):
		return fault.WithHint(fault.New(fault.Denied, "the brokers do not let us use %s: %s", t.name, kerrText(err)), "have the user allowed to describe the topic, and to read it or write to it")
	case isAny(err, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID):
		return t.gone()
	}
	if errors.Is(err, io.EOF) && t.login.refused() {
		return fault.WithHint(fault.New(fault.Denied, "a broker ended the connection while we signed in"), "correct the user, the password or the mechanism")
	}
	if firstEOF := (*kgo.ErrFirstReadEOF)(nil); errors.As(err, &firstEOF) {
		return fault.WithHint(fault.New(fault.Transient, "a broker ended the connection at once"), "see whether it asks for TLS, or for a user and a password")
	}
	if kept := (*fault.Error)(nil); errors.As(err, &kept) {
		return err
	}
	return fault.WithHint(fault.New(fault.Transient, "ask the brokers: %w", err), "check that they run, and that this machine reaches them")
}

func (t *Topic) gone() error {
	return fault.WithHint(fault.New(fault.Missing, "there is no topic %s", t.name), "correct its name, or create it")
}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}

// kerrText is the name of the protocol's error, without what a broker may write beside it.
func kerrText(err error) string {
	if e := (*kerr.Error)(nil); errors.As(err, &e) {
		return e.Message
	}
	return "refused"
}
