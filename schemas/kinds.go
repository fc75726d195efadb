// The kinds. Every field does something.

package schemas

// Project is the root declaration, vishwa.yaml: how the repository is reconciled.
type Project struct {
	// Include lists the YAML files that hold declarations, as globs from the repository's root ("**" crosses folders). vishwa.yaml itself is always read. Without it, every .yaml and .yml file below the folder vishwa is read, in capitals too.
	Include []string `json:"include,omitempty" part:"placement"`
	// Parallel is how many runs may be under way at once.
	Parallel int `json:"parallel,omitempty" jsonschema:"minimum=1,maximum=256,default=2" part:"placement"`
	// Store is where artifacts are kept; without it, a folder below the user's state directory.
	Store *Store `json:"store,omitempty" part:"placement"`
	// Ledger says where facts are recorded.
	Ledger Ledger `json:"ledger,omitempty" part:"placement"`
	// Policy adds the team's own rules to the built-in ones.
	Policy PolicySet `json:"policy,omitempty" part:"placement"`
	// Trust is the file that maps people to keys and roles.
	Trust string `json:"trust,omitempty" jsonschema:"default=trust.yaml" part:"placement"`
	// Environments names the environments that deployments may go to.
	Environments map[string]Environment `json:"environments,omitempty" part:"placement"`
	// PullRequests says what is done for pull requests.
	PullRequests PullRequests `json:"pullRequests,omitempty" part:"placement"`
	// Clusters names the Kubernetes clusters that runners and deployments use.
	Clusters map[string]Cluster `json:"clusters,omitempty" part:"placement"`
	// ModelServers names the servers of TensorFlow Serving that deployments use.
	ModelServers map[string]ModelServer `json:"modelServers,omitempty" part:"placement"`
	// Runners names what carries out runs besides the machine that reconciles, whose name is local.
	Runners map[string]Runner `json:"runners,omitempty" part:"placement"`
	// Defaults is what runs have that do not say otherwise.
	Defaults RunDefaults `json:"defaults,omitzero" part:"placement"`
	// Trackers are servers that show what the ledger records.
	Trackers Trackers `json:"trackers,omitzero" part:"placement"`
	// Images says how the tags of images are followed.
	Images ImageTags `json:"images,omitzero" part:"placement"`
}

// PullRequests says what is done for pull requests. It counts as the tracked branch declares it.
type PullRequests struct {
	// Train says when what a pull request changes is trained: at each push of somebody who may write to the repository, on the command /vishwa train alone, or never.
	Train string `json:"train,omitempty" jsonschema:"enum=push,enum=command,enum=never,default=push" part:"placement"`
	// Commands narrows a command, such as train, to people of these roles of trust.yaml.
	Commands map[string][]string `json:"commands,omitempty" part:"placement"`
	// Runners lists the runners that pull requests may use; without it, local alone.
	Runners []string `json:"runners,omitempty" part:"placement"`
	// External lists the runners, among those, on which pull requests may begin external work: what nobody has reviewed says then what the runner's tool is to do, with the rights of the runner's credentials. Without it, none.
	External []string `json:"external,omitempty" part:"placement"`
}

// Store is a content-addressed store of artifacts: datasets, models and logs. Exactly one place is given.
type Store struct {
	// Dir is an absolute folder outside the repository.
	Dir string `json:"dir,omitempty" part:"placement"`
	// S3 is a bucket that all machines share; each keeps a local copy of what it uses.
	S3 *S3 `json:"s3,omitempty" part:"placement"`
	// OCI is a repository of a container registry that all machines share; each also keeps what it uses itself.
	OCI *OCI `json:"oci,omitempty" part:"placement"`
	// DVC is the repository's DVC remote, next to the data that it has; each machine also keeps what it uses itself.
	DVC *DVCRemote `json:"dvc,omitempty" part:"placement"`
}

// DVCRemote is a remote of .dvc/config, as the tracked branch has it. Credentials come from where DVC has them on each machine.
type DVCRemote struct {
	// Remote is its name; without it, the default remote.
	Remote string `json:"remote,omitempty" jsonschema:"pattern=^[A-Za-z0-9._-]+$" part:"placement"`
}

// OCI is a repository of an OCI registry. Credentials come from Docker's configuration and its credential helpers, or from VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and VISHWA_OCI_PASSWORD, and go to this registry alone.
type OCI struct {
	// URL is the registry's host and the repository, as oci://registry.example.com/team/vishwa, without a tag.
	URL string `json:"url" jsonschema:"required,pattern=^oci://([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:]+\\])(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$" part:"placement"`
	// PlainHTTP asks without TLS; credentials then go to no other machine. A registry on this machine's own address is asked so unless this is false.
	PlainHTTP *bool `json:"plainHTTP,omitempty" part:"placement"`
}

// Ledger says where facts are recorded.
type Ledger struct {
	// Remote is the Git remote that the ledger is fetched from and pushed to. Without it: origin or, in a clone that has no remote of that name, the one that its branch goes with, or its only one.
	Remote string `json:"remote,omitempty" jsonschema:"default=origin" part:"placement"`
	// Branch is the ledger's branch.
	Branch string `json:"branch,omitempty" jsonschema:"default=vishwa/ledger" part:"placement"`
	// Checkpoints says where else it is noted how far the ledger has come, and which of these places must answer.
	Checkpoints Checkpoints `json:"checkpoints,omitempty" part:"placement"`
}

// Checkpoints says where, outside of the ledger's branch, it is noted how far the ledger has come. This machine's state, a store that is declared and a forge note it without being named here.
type Checkpoints struct {
	// Remote is another Git remote that keeps them, best one that other people administer: its URL, without credentials.
	Remote string `json:"remote,omitempty" part:"placement"`
	// Ref is the Git ref that keeps them, in that remote or, without one, in the ledger's own; where neither is given, no ref does.
	Ref string `json:"ref,omitempty" jsonschema:"pattern=^refs/[a-z]+/.+$" part:"placement"`
	// Required lists places without whose answer the ledger is neither read nor written. The others are asked, and one that does not answer is reported.
	Required []string `json:"required,omitempty" jsonschema:"enum=store,enum=forge,enum=ref" part:"placement"`
}

// PolicySet names the team's own rules. They add to the built-in ones and can only tighten.
type PolicySet struct {
	// Paths lists folders of Rego files.
	Paths []string `json:"paths,omitempty" part:"placement"`
	// ModelFormats narrows the model file formats that may be released.
	ModelFormats []string `json:"modelFormats,omitempty" jsonschema:"enum=safetensors,enum=onnx,enum=saved-model,enum=xgboost-json,enum=xgboost-ubj,enum=skops,enum=gguf,enum=json,enum=yaml,enum=text,enum=csv" part:"placement"`
}

// Environment is somewhere that a deployment goes to.
type Environment struct {
	// Approvals is how many people must approve a release, by signature. An environment named production, however it is spelt, needs one unless it says more.
	Approvals int `json:"approvals,omitempty" jsonschema:"minimum=0,maximum=16" part:"placement"`
	// Roles lists the roles of trust.yaml whose approval counts; without it, approver.
	Roles []string `json:"roles,omitempty" part:"placement"`
	// UnknownAuthors is what a change asks for that is written by somebody whom trust.yaml does not know, in an environment that asks for approvals: two, one person more than approvals says; other, an approver of the pull request, who neither opened it nor pushed to it; refuse, nothing is released. Without it, two.
	UnknownAuthors string `json:"unknownAuthors,omitempty" jsonschema:"enum=two,enum=other,enum=refuse,default=two" part:"placement"`
	// Reviews lets an approving review of the pull request count as an approval; without it, only a signature does.
	Reviews bool `json:"reviews,omitempty" part:"placement"`
	// Envelope lets retrainings that keep within a monitor's envelope be merged without a person where they would be deployed here. Approvals are asked for all the same.
	Envelope bool `json:"envelope,omitempty" part:"placement"`
	// TrackedRuns asks that what is deployed here was made by runs on the tracked branch: what a pull request trained is trained again.
	TrackedRuns bool `json:"trackedRuns,omitempty" part:"placement"`
	// RevokedSigner says what is done with a release of a model whose signer was revoked since, such as a revert to an old one: refuse, or approve, where it needs an approval by one person at least.
	RevokedSigner string `json:"revokedSigner,omitempty" jsonschema:"enum=refuse,enum=approve,default=refuse" part:"placement"`
	// Isolation is the least level of isolation of every run that what is deployed here was made by, and of its serving: landlock, or namespaces, which is stronger. Runs that were recorded before levels were have none.
	Isolation string `json:"isolation,omitempty" jsonschema:"enum=namespaces,enum=landlock" part:"placement"`
	// Bytes is the weakest class of the bytes that are served here: verified, whose signature is checked where they are served; by-digest, of which whoever brings them checks the digest alone; trusted, which are read from a place that others may be able to write to. Without it, by-digest where the environment asks for approvals, and trusted elsewhere.
	Bytes string `json:"bytes,omitempty" jsonschema:"enum=verified,enum=by-digest,enum=trusted" part:"placement"`
	// Hosts lists the hosts whose requests deployments here may have Traefik, a Gateway, an ingress controller or KServe send to them (traefik, route, ingress and expose of targets): a name, *.example.com for all names below one, or * for all. A name with a path, such as models.example.com/churn, is for that path and what is below it alone. Without it, any.
	Hosts []string `json:"hosts,omitempty" part:"placement"`
}

// Work is a command with all that it may read: what a transform, a training's candidate and a served model share.
type Work struct {
	// Run is the command and its arguments; no shell is involved. In those of a run, ${params.NAME}, ${inputs.NAME} and ${outputs.NAME} are replaced by what the run is given, in an argument without a blank.
	Run []string `json:"run,omitempty" jsonschema:"minItems=1" part:"recipe"`
	// Code lists the files and folders of the repository that the command reads; nothing else is there when it runs.
	Code []string `json:"code,omitempty" part:"recipe"`
	// Env is the environment that the command runs in.
	Env Environs `json:"env,omitempty" part:"key"`
}

// Environs is the software environment of a command.
type Environs struct {
	// Requirements is a pip requirements file with hashes; its digest names the environment.
	Requirements string `json:"requirements,omitempty" part:"recipe"`
	// Pass lists variables of the caller's environment that the command may see.
	Pass []string `json:"pass,omitempty" part:"key" guards:"true"`
}

// Limits bound a run; they are no part of its key.
type Limits struct {
	// Timeout ends a run that takes longer. One that is under way keeps the timeout that it began with.
	Timeout Duration `json:"timeout,omitempty" jsonschema:"default=1h" part:"placement"`
	// Retries is how often a failed run is tried again before it is held.
	Retries int `json:"retries,omitempty" jsonschema:"minimum=0,maximum=10" part:"placement"`
	// Network is what the command may reach: all, none, or a list of hosts with their ports, such as [mirror.example.com:443]; without it, all. For a pull request it is none, but for the hosts that the base branch lists.
	Network Network `json:"network,omitempty" part:"placement"`
}

// Transform is a run that makes data out of data.
type Transform struct {
	Work
	Limits
	RunsOn
	// External begins work of the team's in place of a command.
	External *External `json:"external,omitempty" part:"key"`
	// Inputs maps a name to a ref; the run finds the data at VISHWA_INPUT_<NAME>.
	Inputs map[string]Ref `json:"inputs,omitempty" part:"recipe"`
	// Outputs maps a name to the file or folder that the run writes at VISHWA_OUTPUT_<NAME>.
	Outputs map[string]string `json:"outputs" jsonschema:"required" part:"key"`
	// Params are handed to the run as JSON, at VISHWA_PARAMS.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
}

// Training is a set of runs, one a candidate, each of which writes a model and its metrics.
type Training struct {
	Work
	Limits
	RunsOn
	// External begins work of the team's in place of a command; it writes the model's files below model/ and the metrics as metrics.json.
	External *External `json:"external,omitempty" part:"key"`
	// Inputs maps a name to a ref; the run finds the data at VISHWA_INPUT_<NAME>.
	Inputs map[string]Ref `json:"inputs,omitempty" part:"recipe"`
	// Params are handed to every candidate as JSON, at VISHWA_PARAMS.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
	// MetricsFrom names the tools whose logs hold the metrics: mlflow, wandb (offline), dvclive, tensorboard, or file for a CSV log or JSON that is printed. Of a metric that several logged, the first tool's counts. Without it, they are looked for in that order where the run wrote no file at VISHWA_METRICS.
	MetricsFrom []string `json:"metricsFrom,omitempty" jsonschema:"minItems=1,enum=mlflow,enum=wandb,enum=dvclive,enum=tensorboard,enum=file" part:"key"`
	// ModelFrom says where the model is, in place of the folder at VISHWA_MODEL_DIR: mlflow is the one that the run logged by MLflow, the newest of several; anything else is the path, from where the command begins, of the file or folder that it writes.
	ModelFrom string `json:"modelFrom,omitempty" jsonschema:"pattern=^[^/\\x00-\\x1f\\\\][^\\x00-\\x1f\\\\]{0\\,499}$" part:"key"`
	// Candidates maps a name to what sets it apart. Without it there is one candidate, named default.
	Candidates map[string]Candidate `json:"candidates,omitempty" part:"recipe"`
	// Search makes the candidates in their place, out of ranges of parameters.
	Search *Search `json:"search,omitempty" part:"recipe"`
	// Round has it trained again though nothing else has changed, and says why.
	Round *Round `json:"round,omitempty" part:"key"`
	// Retrain proposes on a calendar that it is trained again.
	Retrain *Retrain `json:"retrain,omitempty" part:"placement"`
}

// Candidate is one run of a training.
type Candidate struct {
	// Params are laid over the training's own.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
}

// Model selects one candidate, gates it and has it signed.
type Model struct {
	// From is the training whose candidates are compared.
	From Ref `json:"from" jsonschema:"required" part:"key"`
	// Select says which candidate is best.
	Select Selection `json:"select" jsonschema:"required" part:"key"`
	// Evaluate scores the selected candidate, and the model that is served, on the same rows: both are shown, and gates may ask for it.
	Evaluate *Evaluation `json:"evaluate,omitempty" part:"key" guards:"true"`
	// Gates are what the selected candidate must meet to be released.
	Gates []Gate `json:"gates,omitempty" part:"key" guards:"true"`
}

// Selection says which candidate is best.
type Selection struct {
	// Metric is the dotted name of a metric, such as test.roc_auc.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"key"`
	// Goal is the direction of better.
	Goal string `json:"goal,omitempty" jsonschema:"enum=maximize,enum=minimize,default=maximize" part:"key"`
	// Objectives are further metrics that count as much. One of the Pareto front is selected: of the candidates than which no other is as good by all of them and better by one. A candidate that does not report them all is not compared.
	Objectives []Objective `json:"objectives,omitempty" jsonschema:"minItems=1,maxItems=7" part:"key"`
	// TieBreak says which one of the front: ideal, the one nearest to the best values that the front has, each metric counted from the best to the worst of the front; order, the best by metric, and among equals by the objectives in their order.
	TieBreak string `json:"tieBreak,omitempty" jsonschema:"enum=ideal,enum=order" part:"key"`
}

// Objective is a metric that counts in a selection.
type Objective struct {
	// Metric is the dotted name of a metric, such as test.latency_ms.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"key"`
	// Goal is the direction of better.
	Goal string `json:"goal,omitempty" jsonschema:"enum=maximize,enum=minimize,default=maximize" part:"key"`
}

// TieIdeal is the tie-break that takes the one nearest to the best values.
const TieIdeal = "ideal"

// Maximizes tells whether more is better.
func (o Objective) Maximizes() bool { return o.Goal != "minimize" }

// All are all metrics that count, the first one first.
func (s Selection) All() []Objective {
	return append([]Objective{{s.Metric, s.Goal}}, s.Objectives...)
}

// Gate is a bound on a metric.
type Gate struct {
	// Metric is the dotted name of a metric, such as test.roc_auc.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"key"`
	// Rows names rows of spec.evaluate, on which both models are scored alike; without it, the metric is what each training reported.
	Rows string `json:"rows,omitempty" part:"key"`
	// Min is the smallest value allowed.
	Min *float64 `json:"min,omitempty" part:"key"`
	// Max is the largest value allowed.
	Max *float64 `json:"max,omitempty" part:"key"`
	// MaxRegression is how much worse than the live model's value it may be. Worse is lower where select.goal of the same metric is maximize or the gate has no Max; otherwise higher.
	MaxRegression *float64 `json:"maxRegression,omitempty" jsonschema:"minimum=0" part:"key"`
}

// Infrastructure is a Terraform module.
type Infrastructure struct {
	// Module is the folder of the Terraform module.
	Module string `json:"module" jsonschema:"required" part:"key"`
	// Vars are the module's input variables.
	Vars map[string]any `json:"vars,omitempty" part:"key"`
	// State says where Terraform's state is; without it, a file below the user's state directory.
	State State `json:"state,omitempty" part:"key"`
	// Pass lists variables of the caller's environment that Terraform may see, such as a cloud's credentials.
	Pass []string `json:"pass,omitempty" part:"key"`
	// PlanPass lists the variables that Terraform may see when it plans for a pull request: credentials that can read, and no more. It counts as the base branch declares it. Empty is without any; without it, no plan is made for pull requests.
	PlanPass []string `json:"planPass,omitempty" part:"placement"`
	// Network is what Terraform and its providers may reach when they plan for a pull request, or run the module's tests: none, or a list of hosts with their ports. For a pull request it counts as the base branch declares it.
	Network Network `json:"network,omitempty" part:"placement"`
	// Schedule says when the controller looks again though nothing was pushed, as a cron expression ("0 6 * * 1") or @hourly, @daily and so on, in UTC: drift is found then.
	Schedule string `json:"schedule,omitempty" part:"placement"`
}

// State says where Terraform's state is; at most one field is set.
type State struct {
	// Path is an absolute file outside the repository, for the local backend.
	Path string `json:"path,omitempty" part:"key"`
	// Backend configures the backend block that the module declares.
	Backend map[string]string `json:"backend,omitempty" part:"key"`
}

// Deployment serves a model.
type Deployment struct {
	// Model is the model that is served.
	Model Ref `json:"model" jsonschema:"required" part:"key"`
	// Environment is one of the project's environments.
	Environment string `json:"environment" jsonschema:"required" part:"key"`
	// Needs lists infrastructure that must exist first; its outputs are handed to the served process as JSON, at VISHWA_INPUT_<NAME>.
	Needs []Ref `json:"needs,omitempty" part:"key"`
	// Target says what serves.
	Target Target `json:"target" jsonschema:"required" part:"key"`
	// Delivery says how the objects of a target reach their cluster; without it, Vishwa applies them.
	Delivery *Delivery `json:"delivery,omitempty" part:"key"`
	// Log keeps what is asked and answered; without it, nothing is kept.
	Log *PredictionLog `json:"log,omitempty" part:"key"`
	// Rollout says when, and in which steps, a new release takes the place of the one that serves; without it, as soon as it is ready.
	Rollout *Rollout `json:"rollout,omitempty" part:"placement"`
	// Schedule says when the controller looks again though nothing was pushed, as a cron expression ("0 6 * * 1") or @hourly, @daily and so on, in UTC: drift is found then.
	Schedule string `json:"schedule,omitempty" part:"placement"`
}

// Target says what serves. Exactly one is given.
type Target struct {
	// Local serves from a process on this machine.
	Local *LocalTarget `json:"local,omitempty" part:"key"`
	// Docker serves from a container of a Docker Engine, on this machine or another.
	Docker *DockerTarget `json:"docker,omitempty" part:"key"`
	// Kubernetes serves from pods of a cluster.
	Kubernetes *KubernetesTarget `json:"kubernetes,omitempty" part:"key"`
	// KServe serves by an InferenceService of KServe.
	KServe *KServeTarget `json:"kserve,omitempty" part:"key"`
	// Seldon serves by a Model of Seldon Core 2.
	Seldon *SeldonTarget `json:"seldon,omitempty" part:"key"`
	// SeldonDeployment serves by a SeldonDeployment of Seldon Core 1.
	SeldonDeployment *SeldonDeploymentTarget `json:"seldonDeployment,omitempty" part:"key"`
	// TFServing serves by a model of TensorFlow Serving.
	TFServing *TFServingTarget `json:"tfserving,omitempty" part:"key"`
}

// LocalTarget is a process on this machine. It finds the model at VISHWA_MODEL_DIR and listens on 127.0.0.1 at VISHWA_PORT.
type LocalTarget struct {
	Work
	Hosted
}

// DockerTarget is a container of a Docker Engine. It finds the model, read-only, at VISHWA_MODEL_DIR and listens on every address of its own at VISHWA_PORT.
type DockerTarget struct {
	// Image is the container image that it runs in, by digest, as registry.example.com/base@sha256:...; vishwa image pin writes it. Either it or package is given.
	Image string `json:"image,omitempty" part:"key"`
	Work
	// Package has the image of a package serve, by its digest: the package's image says what is run. Nobody checks a signature where it serves then.
	Package Ref `json:"package,omitzero" part:"key"`
	// Host is the engine's address: a socket such as unix:///var/run/docker.sock, or another machine's engine such as ssh://user@host or tcp://host:2376, which is sent the files of a release; without it, DOCKER_HOST, or the usual socket.
	Host string `json:"host,omitempty" part:"key"`
	// ContainerPort is where the container listens, inside; it is its VISHWA_PORT.
	ContainerPort int `json:"containerPort,omitempty" jsonschema:"minimum=1,maximum=65535,default=8080" part:"key"`
	// Resources is what the container is given at most.
	Resources ContainerResources `json:"resources,omitzero" part:"key"`
	// Traefik has Traefik, which looks at this machine's engine, send requests for a host to the public port, by labels of the container. It asks for port.
	Traefik *Traefik `json:"traefik,omitempty" part:"key"`
	Hosted
}

// ContainerResources is what a container that serves is given at most.
type ContainerResources struct {
	// CPU is a number of cores, such as "2" or "500m".
	CPU string `json:"cpu,omitempty" jsonschema:"pattern=^([0-9]+(\\.[0-9]{1\\,3})?|[0-9]+m)$" part:"key"`
	// Memory is in bytes, such as 2Gi or 500M.
	Memory string `json:"memory,omitempty" jsonschema:"pattern=^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"key"`
}

// Readiness is what every target knows of the process that serves.
type Readiness struct {
	// Ready is the path that answers 200 when the process can serve.
	Ready string `json:"ready,omitempty" jsonschema:"pattern=^/,default=/v2/health/ready" part:"key"`
	// ReadyTimeout is how long the process may take to become ready; without it, a minute, or five on a cluster.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
	// Params are handed to the process as JSON, at VISHWA_PARAMS.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
}

// Hosted is what targets share whose traffic goes through the serving host of this machine.
type Hosted struct {
	// Runtime serves in place of a command: a program of the environment, for which Vishwa writes the settings.
	Runtime *Runtime `json:"runtime,omitempty" part:"key"`
	// Port is the public port on 127.0.0.1; without it a free one is chosen and kept.
	Port int `json:"port,omitempty" jsonschema:"minimum=1,maximum=65535" part:"key"`
	Readiness
	// MinReady is how long a new release must answer, with requests, before the old one ends; without it, 500ms.
	MinReady Duration `json:"minReady,omitempty" part:"placement"`
	// MaxBody bounds a request's body in MiB; without it 64. What is larger is answered with 413.
	MaxBody int `json:"maxBody,omitempty" jsonschema:"minimum=1,maximum=65536" part:"key"`
}
