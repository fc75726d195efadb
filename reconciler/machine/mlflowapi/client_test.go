package mlflowapi

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAServerHasOneSpelling: what is signed of it holds for all of them, and for no other server.
func TestAServerHasOneSpelling(t *testing.T) {
	for declared, want := range map[string]string{
		"https://mlflow.example.com":            "https://mlflow.example.com",
		"HTTPS://MLflow.Example.com.:443/":      "https://mlflow.example.com",
		"http://mlflow.example.com:80//team/":   "http://mlflow.example.com/team",
		"http://mlflow.example.com:443/Team/./": "http://mlflow.example.com:443/Team",
		"http://[::1]:5000/":                    "http://[::1]:5000",
	} {
		if got := New(Options{URL: declared}).Server(); got != want {
			t.Errorf("%s is %s, not %s", declared, got, want)
		}
	}
}

// TestAListWithoutAnEndIsAnError: what is missing on it would be written a second time.
func TestAListWithoutAnEndIsAnError(t *testing.T) {
	asked := 0
	err := Paged("runs", func(string) (string, error) {
		asked++
		return string(rune('a' + asked%2)), nil
	})
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || asked != MostPages {
		t.Errorf("%d pages, %v", asked, err)
	}
}
