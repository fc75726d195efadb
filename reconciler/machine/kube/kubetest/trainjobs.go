// Kubeflow's TrainJobs: each becomes a Job (the real one has a JobSet in between).

package kubetest

func (c *Cluster) trainJobs() {}
