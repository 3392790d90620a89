// What the AWS SDK for Go, version 2, makes of the variables and files that it finds.
//
//	who|bucket TIMES [at-once]   asks STS who signs, or S3 for its first bucket
//	values PROFILE…              key, secret and session of each profile; "" is what nothing was said about
//	served SECONDS               asks so long who signs: the answer, the calls, and the requests to the endpoint
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Versions before the end of 2023 do not read AWS_ENDPOINT_URL themselves.
func endpoint(service, region string, options ...interface{}) (aws.Endpoint, error) {
	return aws.Endpoint{URL: os.Getenv("AWS_ENDPOINT_URL"), HostnameImmutable: true}, nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, settings aws.Config, question string) (string, error) {
	if question == "who" {
		answer, err := sts.NewFromConfig(settings).GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", err
		}
		return *answer.Arn, nil
	}
	answer, err := s3.NewFromConfig(settings).ListBuckets(ctx, nil)
	if err != nil {
		return "", err
	}
	return *answer.Buckets[0].Name, nil
}

// Version 1.17 now and then closes a connection of which it still reads: one request in a hundred. A request for a
// credential is never repeated here.
func insist(ctx context.Context, settings aws.Config, question string) string {
	for {
		answer, err := ask(ctx, settings, question)
		closed := err != nil && strings.Contains(err.Error(), "use of closed network connection")
		if closed && !strings.Contains(err.Error(), "credentials") {
			continue
		}
		fail(err)
		return answer
	}
}

func values(ctx context.Context, profiles []string) {
	for _, profile := range profiles {
		settings, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile))
		fail(err)
		found, err := settings.Credentials.Retrieve(ctx)
		fail(err)
		text, err := json.Marshal([]string{found.AccessKeyID, found.SecretAccessKey, found.SessionToken})
		fail(err)
		fmt.Println(string(text))
	}
}

type counted struct{ requests int }

func (c *counted) Do(request *http.Request) (*http.Response, error) {
	c.requests++
	return http.DefaultClient.Do(request)
}

func served(ctx context.Context, resolver aws.EndpointResolverWithOptions, seconds string) {
	var asked counted
	count := config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = &asked })
	settings, err := config.LoadDefaultConfig(ctx, config.WithEndpointResolverWithOptions(resolver), count)
	fail(err)
	long, err := time.ParseDuration(seconds + "s")
	fail(err)
	who, calls := "", 0
	for end := time.Now().Add(long); time.Now().Before(end); calls++ {
		who = insist(ctx, settings, "who")
		time.Sleep(500 * time.Millisecond)
	}
	fmt.Println(who, calls, asked.requests)
}

func main() {
	ctx := context.Background()
	if os.Args[1] == "values" {
		values(ctx, os.Args[2:])
		return
	}
	resolver := aws.EndpointResolverWithOptionsFunc(endpoint)
	if os.Args[1] == "served" {
		served(ctx, resolver, os.Args[2])
		return
	}
	settings, err := config.LoadDefaultConfig(ctx, config.WithEndpointResolverWithOptions(resolver))
	fail(err)
	times, err := strconv.Atoi(os.Args[2])
	fail(err)
	var all sync.WaitGroup
	for i := 0; i < times; i++ {
		all.Add(1)
		once := func() {
			defer all.Done()
			fmt.Println(insist(ctx, settings, os.Args[1]))
		}
		if len(os.Args) > 3 {
			go once()
		} else {
			once()
		}
	}
	all.Wait()
}
