// Trackers: where what the ledger records is shown besides.

package schemas

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Trackers are servers of others that show runs, models and what is served, as the ledger records them. What counts is what the tracked branch declares.
type Trackers struct {
	// MLflow is a tracking server of MLflow.
	MLflow *MLflowTracker `json:"mlflow,omitempty" part:"placement"`
	// GTO has each release, and what each environment serves, as a signed tag of the repository, in the names of GTO: price@v0.0.12 and price#production#15, where the number is that of the ledger's entry.
	GTO *GTOTracker `json:"gto,omitempty" part:"placement"`
	// WandB has each run as a run of Weights & Biases that is offline, in a folder of the controller's machine that "vishwa trackers status" names: wandb sync uploads it.
	WandB *WandBTracker `json:"wandb,omitempty" part:"placement"`
	// Airflow gets an event of an asset when a dataset has other data, or when a model is released, so that DAGs which wait for the asset run.
	Airflow *AirflowTracker `json:"airflow,omitempty" part:"placement"`
}

// AirflowTracker is an Airflow 3 whose assets get events.
type AirflowTracker struct {
	// URL is its address, without /api. A credential goes to it over https alone, unless it is on this machine.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// Token is the file on the controller's machine that has a bearer token, or user:password; without it, VISHWA_TRACKER_AIRFLOW.
	Token string `json:"token,omitempty" part:"placement"`
	// Assets says which asset gets an event of what.
	Assets []AirflowAsset `json:"assets" jsonschema:"required,minItems=1,maxItems=256" part:"placement"`
}

// AirflowAsset is an asset that Airflow has, as DAGs name it.
type AirflowAsset struct {
	// Of is a dataset, or a model.
	Of Ref `json:"of" jsonschema:"required" part:"placement"`
	// Environment narrows the events of a model to those when this environment comes to serve another release; without it, each release is one.
	Environment string `json:"environment,omitempty" part:"placement"`
	// Asset is the URI of the asset.
	Asset string `json:"asset" jsonschema:"required,minLength=1,maxLength=1500" part:"placement"`
}

func (t *AirflowTracker) check(c *checker, d *document, field string, environments map[string]Environment) {
	if t == nil {
		return
	}
	if withoutCredential(d, field+".url", t.URL, "give its file in token") {
		address(d, field+".url", t.URL, "https", "http")
	}
	for i, a := range t.Assets {
		at := fmt.Sprintf("%s.assets.%d", field, i)
		c.ref(d, at+".of", a.Of, func(t Traits) bool { return t.Pinned || t.Releases })
		_, known := environments[a.Environment]
		switch {
		case a.Environment == "":
		case a.Of.Kind.Traits().Pinned:
			d.problem(at+".environment", "serves models, and no data; remove it")
		case !known:
			d.problem(at+".environment", "%s is not declared in spec.environments%s", short(a.Environment), meantOr(a.Environment, slices.Sorted(maps.Keys(environments)), "declare it"))
		}
	}
}

// GTOTracker is tags in the names of GTO: gto: {} has them made.
type GTOTracker struct{}

// WandBTracker is runs of Weights & Biases that are offline. Nothing is sent anywhere: whoever uploads them does so by wandb sync, with a key of their own.
type WandBTracker struct {
	// Project is the one that runs are uploaded to.
	Project string `json:"project,omitempty" jsonschema:"default=vishwa,pattern=^[A-Za-z0-9._-]{1\\,128}$" part:"placement"`
	// Entity is the user or the team that the project is of; without it, it is that of whoever uploads them.
	Entity string `json:"entity,omitempty" jsonschema:"pattern=^[A-Za-z0-9._-]{1\\,128}$" part:"placement"`
	// OnDrift says what is done about a run whose folder was deleted, as wandb sync --clean does with those that were uploaded: keep leaves it deleted, heal writes it again. Both are reported.
	OnDrift string `json:"onDrift,omitempty" jsonschema:"enum=heal,enum=keep,default=keep" part:"placement"`
}

// ProjectName is the project's name.
func (t WandBTracker) ProjectName() string { return cmp.Or(t.Project, "vishwa") }

// Heals tells whether what was deleted is written again.
func (t WandBTracker) Heals() bool { return t.OnDrift == "heal" }

// MLflowTracker is a tracking server of MLflow 2.9 or newer.
type MLflowTracker struct {
	// URL is that of the server, without /api. A credential goes to it over https alone, unless it is on this machine.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// Workspace is the one that all is shown in, of a server that keeps teams apart by workspaces (MLflow 3.10 or newer); without it, the server's default.
	Workspace string `json:"workspace,omitempty" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]{0\\,61}[a-z0-9])?$" part:"placement"`
	// Experiment is the one that runs are put into; it is made where it is not there.
	Experiment string `json:"experiment,omitempty" jsonschema:"default=vishwa,pattern=^[^/'\\x00-\\x1f][^'\\x00-\\x1f]{0\\,199}$" part:"placement"`
	// Token is the file on the controller's machine that has a bearer token, or user:password; without it, VISHWA_TRACKER_MLFLOW.
	Token string `json:"token,omitempty" part:"placement"`
	// Models has the files of each release put where the server keeps those of its models, as an MLflow model that "mlflow" loads: the artifact location of the experiment, or a place above it. They go there straight, with the controller's credentials for S3. Without it, they stay in the store. It is for MLflow 3 or newer.
	Models *S3 `json:"models,omitempty" part:"placement"`
	// Prefix is put before the names of registered models, where several repositories have one server.
	Prefix string `json:"prefix,omitempty" jsonschema:"pattern=^[A-Za-z0-9._-]{1\\,64}$" part:"placement"`
	// OnDrift says what is done about what others changed there, such as an alias that was moved or a run that was deleted: heal changes it back, keep leaves it. With propose, a controller takes an alias that was moved to another release for a wish, and makes a pull request that has its environment serve that release; all else is changed back. Each is reported.
	OnDrift string `json:"onDrift,omitempty" jsonschema:"enum=heal,enum=keep,enum=propose,default=heal" part:"placement"`
	// Schedule is when a controller looks for aliases that were moved, as a cron expression in UTC; it looks after each pass, too, and when a webhook of MLflow says so. It is for onDrift: propose.
	Schedule string `json:"schedule,omitempty" jsonschema:"default=*/10 * * * *" part:"placement"`
}

// ExperimentName is the experiment's name.
func (t MLflowTracker) ExperimentName() string { return cmp.Or(t.Experiment, "vishwa") }

// Heals tells whether what others changed is changed back.
func (t MLflowTracker) Heals() bool { return t.OnDrift != "keep" }

// Proposes tells whether an alias that was moved is proposed.
func (t MLflowTracker) Proposes() bool { return t.OnDrift == "propose" }

// Looks is when a controller looks for aliases that were moved; "" is never by the clock.
func (t *MLflowTracker) Looks() string {
	if t == nil || !t.Proposes() {
		return ""
	}
	return cmp.Or(t.Schedule, "*/10 * * * *")
}

func (t *MLflowTracker) check(d *document, field string) {
	if t == nil {
		return
	}
	if withoutCredential(d, field+".url", t.URL, "give its file in token") {
		address(d, field+".url", t.URL, "https", "http")
	}
	if t.Schedule != "" && !t.Proposes() {
		d.problem(field+".schedule", "is when it is looked for aliases that are proposed; declare onDrift: propose, or remove it")
	}
	schedule(d, field+".schedule", t.Schedule)
	t.Models.check(d, field+".models")
	if t.Models != nil && t.Models.Anonymous {
		d.problem(field+".models.anonymous", "cannot be: the files of models are written there; remove it")
	}
}
