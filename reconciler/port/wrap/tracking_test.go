// A tracker is asked nowhere else than the machine's owner says, and so its credential goes nowhere else.

package wrap

import (
	"context"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

type shows struct{ asked int }

func (s *shows) Record(context.Context, port.Projection, bool) (port.Recorded, error) {
	s.asked++
	return port.Recorded{}, nil
}

func TestTrackersAreAskedWhereTheyMayBe(t *testing.T) {
	may := []string{"https://mlflow.example.com", "http://127.0.0.1:5000/team/"}
	for url, want := range map[string]bool{
		"https://mlflow.example.com":                true,
		"https://mlflow.example.com/":               true,
		"https://mlflow.example.com/ml":             true,
		"http://127.0.0.1:5000/team":                true,
		"http://127.0.0.1:5000/team/a":              true,
		"http://127.0.0.1:5000/teams":               false,
		"http://127.0.0.1:5000/team/../other":       false,
		"http://127.0.0.1:5000/team/%2e%2E/other":   false,
		"http://127.0.0.1:5000/team/.;x/other":      false,
		`http://127.0.0.1:5000/team/x\other`:        false,
		"http://127.0.0.1:5000":                     false,
		"http://mlflow.example.com":                 false,
		"https://mlflow.example.com:444":            false,
		"https://mlflow.example.com.evil.example":   false,
		"https://mlflow.example.com@evil.example":   false,
		"https://mlflow.example.com:x@evil.example": false,
		"https://evil.example/mlflow.example.com":   false,
		`https://mlflow.example.com\@evil.example`:  false,
		"https://mlflow.example.com?@evil.example":  false,
		"https://mlflow.example.com#@evil.example":  false,
		"": false,
	} {
		s := &shows{}
		_, err := TrackingTo(s, url, may).Record(t.Context(), port.Projection{}, true)
		if want != (err == nil) || want != (s.asked == 1) || err != nil && (fault.Of(err) != fault.Denied || fault.HintOf(err) == "") {
			t.Errorf("%s: %v; asked %d times", url, err, s.asked)
		}
	}
	s := &shows{}
	if _, err := TrackingTo(s, may[0], nil).Record(t.Context(), port.Projection{}, true); fault.Of(err) != fault.Denied || s.asked > 0 {
		t.Errorf("where nothing is said: %v", err)
	}
}
