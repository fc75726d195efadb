// vishwa sink: an endpoint for the loggers of serving platforms.

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog/sink"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

// sinkToken names the variable with what senders must know.
const sinkToken = "VISHWA_SINK_TOKEN"

// sinking is what vishwa sink is asked for.
type sinking struct {
	listen, dir string
	sample      float64
	personal    []string
	hash        bool
	bodies      bool
	every, keep span
	open        bool
}

func (a *cli) sinkVerb() *cobra.Command {
	s := sinking{every: span(time.Minute), keep: span(90 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "sink --dir DIR",
		Short: "Receive the prediction logs of KServe and Seldon",
		Long: `Receive what the loggers of KServe and Seldon send, for as long as it runs: CloudEvents
in HTTP's binary mode. Requests and answers are paired by id. Each inference service
has a log in DIR/NAMESPACE/SERVICE, with the same files as a deployment of this machine.

Senders must know the token in the variable ` + sinkToken + `, as a bearer token or as a
password in the logger's URL; without one, only programs of this machine are let in.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.sample <= 0 || s.sample > 1 {
				return usage(cmd, fmt.Errorf("--sample %v: want more than 0 and at most 1", s.sample))
			}
			return a.sink(cmd.Context(), s)
		},
	}
	cmd.Flags().StringVar(&s.dir, "dir", "", "the `FOLDER` of the logs")
	cmd.Flags().StringVar(&s.listen, "listen", "127.0.0.1:8088", "the `ADDRESS` to listen at")
	cmd.Flags().Float64Var(&s.sample, "sample", 1, "the `SHARE` of the requests that is logged")
	cmd.Flags().StringArrayVar(&s.personal, "personal", nil, "a `COLUMN` that tells of people, and is left out; may be given again")
	cmd.Flags().BoolVar(&s.hash, "hash", false, "keep an HMAC of personal columns")
	cmd.Flags().BoolVar(&s.bodies, "bodies", false, "keep bodies that no known protocol explains")
	cmd.Flags().Var(&s.every, "every", "how long a row waits at most until it is written")
	cmd.Flags().Var(&s.keep, "keep", "how long files are kept")
	cmd.Flags().BoolVar(&s.open, "unsafe-open", false, "let in everybody who reaches the address, without a token")
	_ = cmd.MarkFlagRequired("dir") // the flag is there
	return cmd
}

// sink takes events until ctx ends.
func (a *cli) sink(ctx context.Context, s sinking) error {
	a.garbage.Eager()
	token, _ := a.lookup(sinkToken)
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fault.WithHint(fault.New(fault.Conflict, "listen for events: %w", err), "choose another --listen")
	}
	defer l.Close()
	if at, ok := l.Addr().(*net.TCPAddr); token == "" && !s.open && (!ok || !at.IP.IsLoopback()) {
		return fault.WithHint(fault.New(fault.Denied, "listen at %s: without a token everybody who reaches it could write to the logs", l.Addr()), "set %s, or listen at 127.0.0.1", sinkToken)
	}
	secret, err := a.sinkSecret()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.err, nil))
	options := predictionlog.Options{
		Dir: a.path(s.dir), Secret: secret, Every: time.Duration(s.every), Keep: time.Duration(s.keep), Now: a.now, Log: log,
		Policy: predictions.Policy{Sampling: s.sample, Personal: s.personal, Bodies: s.bodies},
	}
	if s.hash {
		options.Policy.Hash = predictionlog.Hash(secret)
	}
	events := sink.New(sink.Options{Log: options, Token: token, Now: a.now, Report: log})
	defer events.Close()
	mux := http.NewServeMux()
	mux.Handle("/", events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)} // what strangers send is no trouble of ours
	fmt.Fprintf(a.err, "Taking events at http://%s\n", l.Addr())
	return serveUntil(ctx, server, netutil.LimitListener(l, 1024), events.Expire)
}

// serveUntil serves until ctx ends, and calls tick now and then.
func serveUntil(ctx context.Context, server *http.Server, l net.Listener, tick func()) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	again := time.NewTicker(5 * time.Second)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			tick()
		case err := <-ended:
			return fault.New(fault.Internal, "take events: %w", err)
		case <-ctx.Done():
			bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := server.Shutdown(bound); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return fault.New(fault.Internal, "take events: %w", err)
			}
			return nil
		}
	}
}

// sinkSecret is what sampling and hashes of this machine's sink go by.
func (a *cli) sinkSecret() ([]byte, error) {
	p, err := app.FindPaths(a.lookup, digest.Of(nil))
	if err != nil {
		return nil, err
	}
	key, err := seal.Load(filepath.Join(filepath.Dir(p.State), "sink", "key"))
	if err != nil {
		return nil, err
	}
	return []byte(key.Derive("predictions of a sink").Token("log")), nil
}
