// Where a run of Kubeflow's Trainer tells how far it is.

package dispatch

import (
	"path/filepath"
	"strings"
)

// TrainerDir is where Trainer mounts what a run proves itself with, for that and nothing else.
const TrainerDir = "/var/run/secrets/kubeflow/trainer"

// TrainerVars are the variables by which a run finds its Trainer; nil where it is asked for nothing. A file that lies
// elsewhere than Trainer's is not Trainer's, and no run is shown it.
func TrainerVars(lookup func(string) (string, bool)) map[string]string {
	const prefix = "KUBEFLOW_TRAINER_SERVER_"
	url, _ := lookup(prefix + "URL")
	if !strings.HasPrefix(url, "https://") {
		return nil
	}
	vars := map[string]string{prefix + "URL": url}
	for _, name := range []string{"CA_CERT", "TOKEN"} {
		file, _ := lookup(prefix + name)
		if filepath.Dir(file) != TrainerDir {
			return nil
		}
		vars[prefix+name] = file
	}
	return vars
}
