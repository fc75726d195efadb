// What a run logged is told by names that lead to it.

package templates

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestImagesAndTablesAreNamed: by what the script called them, with the digest that the store has them by.
func TestImagesAndTablesAreNamed(t *testing.T) {
	d := digest.Of([]byte("image"))
	kept := digest.Manifest{{Path: port.TrackingFile, Digest: digest.Of(nil)}}
	for _, path := range []string{"vishwa-mlflow/1/0a1b/artifacts/plots/confusion.png", "wandb/offline-run-1/files/media/table/scores.table.json", "dvclive/plots/images/a.png", "vishwa-mlflow/1/0a1b/artifacts/a`|b\n.png"} {
		kept = append(kept, digest.File{Path: port.TrackingMedia + path, Digest: d, Size: 5})
	}
	l := LoggedBy(tracking.Document{From: []string{tracking.MLflow}}, kept)
	is := " sha256:" + d.Short()
	if lines := l.Lines(); len(lines) != 4 || !slices.Equal(lines[:3], []string{"image or table kept: plots/confusion.png" + is, "image or table kept: table/scores.table.json" + is, "image or table kept: dvclive/plots/images/a.png" + is}) || strings.Contains(lines[3], "\n") {
		t.Errorf("%q", lines)
	}
	body := comment(t, Report{Runs: []Run{{Ref: schemas.Ref{Kind: schemas.KindTraining, Name: "iris"}, State: "done", Logged: l}}})
	for _, want := range []string{"4 images and tables kept: `plots/confusion.png" + is + "`", "`table/scores.table.json" + is + "`"} {
		if !strings.Contains(body, want) {
			t.Errorf("the comment lacks %q: %s", want, body)
		}
	}
}
