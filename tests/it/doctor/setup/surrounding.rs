//! What is around the run.

use super::{EVERYWHERE, Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("an old key is in the environment", |bench| bench.set("AWS_SECURITY_TOKEN", "FQoGZXIvYXdzEBYaDHZvbGQ="))
            .on(EVERYWHERE)
            .warns("surroundings", "AWS_SECURITY_TOKEN set before the run"),
        row("AWS_PROFILE names a profile that is nowhere", |bench| bench.set("AWS_PROFILE", "prod"))
            .on(EVERYWHERE)
            .warns("surroundings", "AWS_PROFILE names a profile"),
        row("IFS splits at other characters", |bench| bench.set("IFS", ","))
            .on(EVERYWHERE)
            .warns("surroundings", "IFS is exported"),
        row("an old key of Exoscale is in the environment", |bench| bench.set("EXOSCALE_SECRET", "old"))
            .asking("exoscale --role gitlab-ci-runner")
            .warns("surroundings", "EXOSCALE"),
    ]
}
