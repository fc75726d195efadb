// Receivers keep their promises, and a text steers none of them.

package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

const token = "a-token-of-nobody"

// inbox is a server that keeps what it was sent.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	path   string
	bodies [][]byte
	heads  []http.Header
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.status != 0 {
			w.WriteHeader(b.status)
			fmt.Fprint(w, r.Header.Get("Authorization"), r.URL) // a receiver may say what it was sent
			return
		}
		b.path = r.URL.Path
		b.bodies, b.heads = append(b.bodies, raw), append(b.heads, r.Header)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *inbox) told(t *testing.T, r port.Receiver, seen func(t *testing.T, state string) []string) porttest.Told {
	return porttest.Told{
		Receiver: r, Secrets: []string{token, "T000/B000"},
		Open:   func(t *testing.T) []string { return seen(t, "began") },
		Closed: func(t *testing.T) []string { return seen(t, "over") },
		Answer: func(status int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.status = status
		},
		Gone: func(*testing.T) { b.Close() },
	}
}

func (b *inbox) at(path string) Address {
	return Address{URL: func() (string, error) { return b.URL + path, nil }, Token: func() (string, error) { return token, nil }}
}

func TestAGeneralWebhookKeepsAReceiversPromises(t *testing.T) {
	porttest.Receiver(t, func(t *testing.T) porttest.Told {
		b := newInbox(t)
		return b.told(t, Webhook(b.at("/hook/T000/B000")), func(t *testing.T, state string) (out []string) {
			last, seen := map[string]string{}, map[string]string{}
			for i, raw := range b.bodies {
				var d Document
				if err := json.Unmarshal(raw, &d); err != nil || d.Schema != Schema || b.heads[i].Get("Authorization") != "Bearer "+token || b.heads[i].Get("Idempotency-Key") != d.Incident+"-"+d.State {
					t.Fatalf("%v: %s", err, raw)
				}
				last[d.Incident], seen[d.Incident] = d.State, string(raw)
			}
			for id, s := range last {
				if s == state {
					out = append(out, seen[id])
				}
			}
			return out
		})
	})
}

func TestSlacksWebhookKeepsAReceiversPromises(t *testing.T) {
	porttest.Receiver(t, func(t *testing.T) porttest.Told {
		b := newInbox(t)
		return b.told(t, Slack(b.at("/services/T000/B000/X")), func(t *testing.T, state string) (out []string) {
			var last string
			for _, raw := range b.bodies {
				var d map[string]string
				if err := json.Unmarshal(raw, &d); err != nil || len(d) != 1 {
					t.Fatalf("%v: %s", err, raw)
				}
				last = d["text"]
			}
			if last != "" && strings.Contains(last, "over after") == (state == "over") {
				out = append(out, last)
			}
			return out
		})
	})
}

func TestAlertmanagerKeepsAReceiversPromises(t *testing.T) {
	porttest.Receiver(t, func(t *testing.T) porttest.Told {
		b := newInbox(t)
		return b.told(t, Alertmanager(b.at("/prefix"), time.Now), func(t *testing.T, state string) (out []string) {
			byLabels := map[string]posted{} // as Alertmanager tells alerts apart
			for _, raw := range b.bodies {
				var all []posted
				if err := json.Unmarshal(raw, &all); err != nil || len(all) != 1 || b.path != "/prefix/api/v2/alerts" {
					t.Fatalf("%v: %s at %s", err, raw, b.path)
				}
				byLabels[fmt.Sprint(all[0].Labels)] = all[0]
			}
			for _, p := range byLabels {
				if p.EndsAt.After(time.Now()) == (state == "began") {
					out = append(out, fmt.Sprint(p.Labels, p.Annotations))
				}
			}
			return out
		})
	})
}

func TestAnIssueKeepsAReceiversPromises(t *testing.T) {
	porttest.Receiver(t, func(t *testing.T) porttest.Told {
		f, err := devforge.New(devforge.Options{Dir: t.TempDir()})
		if err == nil {
			_, err = f.Listen("127.0.0.1:0")
		}
		if err == nil {
			err = f.CreateRepo("acme", "models")
		}
		if err == nil {
			err = f.Grant("acme/models", "vishwa", "write")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		marker := "<!-- vishwa:incident " + porttest.Incident().ID + " -->"
		if err := f.OpenIssue("acme/models", "mallory", "Mine", marker+"\nnothing to see"); err != nil {
			t.Fatal(err)
		}
		c, err := forge.GitHub(forge.Config{Owner: "acme", Repo: "models", API: f.URL(), Auth: forge.Auth{Token: f.Token("vishwa")},
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		seen := func(closed bool) func(t *testing.T) []string {
			return func(t *testing.T) (out []string) {
				all, err := f.Issues("acme/models")
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range all {
					if i.Login == "vishwa" && i.Closed == closed {
						if !slices.Equal(i.Labels, []string{"monitoring"}) || !strings.HasPrefix(i.Body, marker) {
							t.Errorf("%+v", i)
						}
						out = append(out, i.Title+i.Body)
					}
					if i.Login == "mallory" && (i.Closed || !strings.Contains(i.Body, "nothing to see")) {
						t.Error("somebody else's issue was changed")
					}
				}
				return out
			}
		}
		return porttest.Told{Receiver: Issue(c, []string{"monitoring"}), Open: seen(false), Closed: seen(true), Secrets: []string{f.Token("vishwa")},
			Answer: func(status int) {
				f.Mend()
				f.Break(devforge.Fault{Status: status})
			},
			Gone: func(*testing.T) { f.Close() }}
	})
}

// What a column or a monitor is called speaks to nobody.
func TestATextSteersNoReceiver(t *testing.T) {
	a := porttest.Incident()
	a.Summary, a.Columns = "drift <!channel> & @all", []string{"<http://evil|x>"}
	got := slackText(a)
	for _, bad := range []string{"<", ">", "@"} {
		if strings.Contains(got, bad) {
			t.Errorf("it holds %s: %s", bad, got)
		}
	}
}

// A token is sent to the host that its owner named, and to none that this one names.
func TestARedirectIsNotFollowed(t *testing.T) {
	other := newInbox(t)
	b := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer b.Close()
	err := Webhook(Address{URL: func() (string, error) { return b.URL, nil }}).Tell(t.Context(), porttest.Incident())
	if fault.Of(err) != fault.Invalid || len(other.bodies) != 0 {
		t.Errorf("%v, %d were sent on", err, len(other.bodies))
	}
	lost := Address{URL: func() (string, error) { return "", errors.New("no secret") }}
	if err := Slack(lost).Tell(t.Context(), porttest.Incident()); err == nil {
		t.Error("it was told without an address")
	}
}

// TestNobodyIsToldOffline: --offline asks nobody, and tells nobody either.
func TestNobodyIsToldOffline(t *testing.T) {
	b := newInbox(t)
	at := b.at("/hook/T000/B000")
	at.Env = port.Env{Offline: true}
	for name, r := range map[string]port.Receiver{"a webhook": Webhook(at), "Slack": Slack(at), "Alertmanager": Alertmanager(at, time.Now)} {
		err := r.Tell(t.Context(), porttest.Incident())
		if !port.WasUnasked(err) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "T000") || len(b.bodies) != 0 {
			t.Errorf("%s: %v; it got %d", name, err, len(b.bodies))
		}
	}
}
