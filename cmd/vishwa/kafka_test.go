// A Kafka cluster for stories, in this process: `kafka` starts it at $KAFKA, `send PARTITION FILE`
// sends each line of a file as a record of the topic orders.

package main

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func kafka(ts *testscript.TestScript, _ bool, args []string) {
	partitions, err := strconv.Atoi(args[0])
	ts.Check(err)
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(int32(partitions), "orders"))
	ts.Check(err)
	ts.Defer(c.Close)
	ts.Setenv("KAFKA", c.ListenAddrs()[0])
}

func send(ts *testscript.TestScript, _ bool, args []string) {
	partition, err := strconv.Atoi(args[0])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("KAFKA")), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("orders"))
	ts.Check(err)
	defer cl.Close()
	for line := range strings.Lines(string(b)) {
		ts.Check(cl.ProduceSync(context.Background(), &kgo.Record{Partition: int32(partition), Value: []byte(strings.TrimSuffix(line, "\n"))}).FirstErr())
	}
}
