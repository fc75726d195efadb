// What every Forge must keep, whichever forge it is.

package porttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Forging is a Forge with one open pull request, and the strings that move it.
type Forging struct {
	Forge   port.Forge
	Denied  port.Forge // the same forge with a token that it does not know
	Secret  string     // Denied's token
	Pull    int
	SHA     string                                       // the pull request's head
	Comment func(t *testing.T, login, body string) int64 // "" is our own account
	Review  func(t *testing.T, login string)             // approves
	Own     func(t *testing.T) []string                  // bodies of our comments
	Writes  func() int                                   // requests so far that change something
	Break   func(status, times int)                      // 0 times: until Mend
	Limit   func()                                       // the next request meets the rate limit
	Mend    func()
	Any     func(t *testing.T, law func(says []string)) // has a law hold of one to four short texts, whatever they are: see Signing.Any
}

// Forge runs the suite; fresh makes a Forge for each test.
func Forge(t *testing.T, fresh func(t *testing.T) Forging) {
	const marker = "<!-- vishwa:test -->"
	ctx := context.Background()
	say := func(t *testing.T, f Forging, text string) {
		t.Helper()
		if _, err := f.Forge.UpsertComment(ctx, f.Pull, marker, marker+"\n"+text); err != nil {
			t.Fatalf("Say: %v (%s)", err, fault.HintOf(err))
		}
	}
	only := func(t *testing.T, f Forging, text string) {
		t.Helper()
		if own := f.Own(t); len(own) != 1 || own[0] != marker+"\n"+text {
			t.Fatalf("our comments are %q, want one that says %q", own, text)
		}
	}
	for name, law := range map[string]func(t *testing.T, f Forging){
		"TwoSaysAreOneComment": func(t *testing.T, f Forging) {
			say(t, f, "one")
			say(t, f, "two")
			only(t, f, "two")
			if said, err := f.Forge.OwnComment(ctx, f.Pull, marker); err != nil || said != marker+"\ntwo" {
				t.Fatalf("Said is %q, %v", said, err)
			}
		},
		"TheSameTwiceIsOneWrite": func(t *testing.T, f Forging) {
			say(t, f, "same")
			before := f.Writes()
			say(t, f, "same")
			if n := f.Writes() - before; n != 0 {
				t.Fatalf("saying the same again made %d writes", n)
			}
		},
		"SomebodyElsesMarkerIsNotOurs": func(t *testing.T, f Forging) {
			f.Comment(t, "mallory", marker+"\nmine")
			if said, err := f.Forge.OwnComment(ctx, f.Pull, marker); err != nil || said != "" {
				t.Fatalf("Said is %q, %v", said, err)
			}
			say(t, f, "ours")
			only(t, f, "ours")
			if r, err := f.Forge.Comments(ctx, f.Pull, time.Time{}); err != nil || len(r) != 1 || r[0].By.Login != "mallory" {
				t.Fatalf("Remarks are %+v, %v", r, err)
			}
		},
		"OfDuplicatesTheOldestStays": func(t *testing.T, f Forging) {
			f.Comment(t, "", marker+"\nolder")
			f.Comment(t, "", marker+"\nyounger")
			say(t, f, "older")
			only(t, f, "older")
		},
		"TooLongIsInvalid": func(t *testing.T, f Forging) {
			_, err := f.Forge.UpsertComment(ctx, f.Pull, marker, marker+strings.Repeat("x", 65_537))
			wantKind(t, err, fault.Invalid)
		},
		"ReactingTwiceIsOnce": func(t *testing.T, f Forging) {
			id := f.Comment(t, "mallory", "/vishwa plan")
			for range 2 {
				if err := f.Forge.React(ctx, id, port.Seen); err != nil {
					t.Fatal(err)
				}
			}
			if ok, err := f.Forge.Reacted(ctx, id); !ok || err != nil {
				t.Fatalf("Reacted is %v, %v", ok, err)
			}
		},
		"AllReviewsInOrder": func(t *testing.T, f Forging) {
			for i := range 150 {
				f.Review(t, fmt.Sprintf("reviewer-%03d", i))
			}
			got, err := f.Forge.Reviews(ctx, f.Pull)
			if err != nil || len(got) != 150 {
				t.Fatalf("%d reviews, %v", len(got), err)
			}
			for i, r := range got {
				if r.By.Login != fmt.Sprintf("reviewer-%03d", i) || r.State != port.Approved || r.SHA != f.SHA {
					t.Fatalf("review %d is %+v", i, r)
				}
			}
		},
		"PushersOfOwnBranchesAlone": func(t *testing.T, f Forging) {
			p, err := f.Forge.Pull(ctx, f.Pull)
			if err != nil {
				t.Fatal(err)
			}
			who, err := f.Forge.Pushers(ctx, p)
			if err != nil && fault.Of(err) != fault.Missing || err == nil && (len(who) == 0 || !slices.IsSorted(who)) {
				t.Fatalf("pushed by %v, %v", who, err)
			}
			p.Fork = true
			_, err = f.Forge.Pushers(ctx, p)
			wantKind(t, err, fault.Missing)
		},
		"UnknownIsMissing": func(t *testing.T, f Forging) {
			_, err := f.Forge.Pull(ctx, 9999)
			wantKind(t, err, fault.Missing)
			if may, err := f.Forge.Permission(ctx, "nobody-known"); may != port.Nothing || err != nil {
				t.Fatalf("somebody unknown may %v, %v", may, err)
			}
		},
		"DeniedTellsNoSecret": func(t *testing.T, f Forging) {
			_, err := f.Denied.Pull(ctx, f.Pull)
			wantKind(t, err, fault.Denied)
			if strings.Contains(fmt.Sprint(err, fault.HintOf(err)), f.Secret) || fault.HintOf(err) == "" {
				t.Fatalf("%v (%s)", err, fault.HintOf(err))
			}
		},
		"RateLimitsAreWaitedOut": func(t *testing.T, f Forging) {
			f.Limit()
			if _, err := f.Forge.Pull(ctx, f.Pull); err != nil {
				t.Fatal(err)
			}
		},
		"BrokenForgeIsTransient": func(t *testing.T, f Forging) {
			f.Break(502, 2)
			if _, err := f.Forge.Pull(ctx, f.Pull); err != nil {
				t.Fatalf("after two failures: %v", err)
			}
			f.Break(503, 0)
			_, err := f.Forge.Pull(ctx, f.Pull)
			wantKind(t, err, fault.Transient)
			f.Mend()
		},
		"CancellationReturnsAtOnce": func(t *testing.T, f Forging) {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			_, err := f.Forge.Pull(gone, f.Pull)
			wantKind(t, err, fault.Cancelled)
		},
		"AMarkAndARolloutAreShownOnce": func(t *testing.T, f Forging) {
			m := port.CommitStatus{SHA: f.SHA, Name: "vishwa/plan", State: port.Succeeded, Title: "nothing to do", Summary: "all kept"}
			r := port.Deployment{Key: "deployment/a@1", SHA: f.SHA, Environment: "live", State: port.Succeeded, Description: "served", Production: true}
			show := func() int {
				if err := f.Forge.ReportStatus(ctx, m); err != nil {
					t.Fatal(err)
				}
				if err := f.Forge.ReportDeployment(ctx, r); err != nil {
					t.Fatal(err)
				}
				return f.Writes()
			}
			if first, again := show(), show(); first != again {
				t.Fatalf("showing the same again made %d writes", again-first)
			}
		},
		"AnySaysLeaveOneComment": func(t *testing.T, f Forging) {
			f.Any(t, func(says []string) {
				for _, text := range says {
					say(t, f, text)
					only(t, f, text)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) { law(t, fresh(t)) })
	}
}
