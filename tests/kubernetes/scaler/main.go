// Asks KEDA's own scaler of Kafka what it makes of a trigger: the metadata as JSON is the argument; for each line of
// standard input it writes one of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
)

type answer struct {
	Lag    float64 `json:"lag"`
	Target float64 `json:"target"`
	Active bool    `json:"active"`
}

func main() {
	ctx := context.Background()
	input := bufio.NewScanner(os.Stdin)
	metadata := map[string]string{}
	if err := json.Unmarshal([]byte(os.Args[1]), &metadata); err != nil {
		log.Fatal(err)
	}
	scaler, err := scalers.NewKafkaScaler(ctx, &scalersconfig.ScalerConfig{
		TriggerType: "kafka", TriggerMetadata: metadata, ScalableObjectType: "ScaledObject",
	})
	if err != nil {
		log.Fatal(err)
	}
	spec := scaler.GetMetricSpecForScaling(ctx)[0].External
	for input.Scan() {
		values, active, err := scaler.GetMetricsAndActivity(ctx, spec.Metric.Name)
		if err != nil {
			log.Fatal(err)
		}
		json.NewEncoder(os.Stdout).Encode(answer{
			Lag:    values[0].Value.AsApproximateFloat64(),
			Target: spec.Target.AverageValue.AsApproximateFloat64(),
			Active: active,
		})
	}
}
