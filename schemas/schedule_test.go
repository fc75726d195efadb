// Schedules that the controller would not keep are refused where they are declared.

package schemas

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestSchedulesAreThoseThatTheControllerKeeps(t *testing.T) {
	for expr, want := range map[string]string{
		"0 6 * * 1":                             "",
		"@daily":                                "",
		"@every 1m":                             "",
		"@every 59s":                            "more often than once a minute",
		"TZ=":                                   "names a time zone",
		"CRON_TZ=Asia/Tokyo 0 6 * * 1":          "names a time zone",
		"0 0 6 * * 1":                           "is not a cron expression",
		"61 * * * *":                            "is not a cron expression",
		strings.Repeat("1,", 100) + "1 * * * *": "is longer than 200 bytes",
	} {
		_, problems := Load(t.Context(), fstest.MapFS{"vishwa.yaml": {Data: []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {images: {schedule: \"" + expr + "\"}}\n")}})
		if want == "" != (len(problems) == 0) || want != "" && !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: %v, want %q", expr, problems, want)
		}
	}
}
