//! The API server alone, with no controllers: for trying kubectl and recorded cases on it.
//!
//! `serve_api --data-dir DIR --listen ADDR:PORT --kubeconfig FILE --service-cidr CIDR[,CIDR]`

use apid::{Server, Settings};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::new(
        "data",
        "127.0.0.1:0".parse()?,
        vec!["10.96.0.0/16".parse()?],
    );
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--data-dir" => settings.data_dir = value.into(),
            "--listen" => settings.listen = value.parse()?,
            "--kubeconfig" => settings.kubeconfig = Some(value.into()),
            "--service-cidr" => {
                settings.service_cidrs =
                    value.split(',').map(str::parse).collect::<Result<_, _>>()?
            }
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::start(settings).await?;
        println!(
            "listening on https://{}, kubeconfig {}",
            server.address(),
            server.kubeconfig().display()
        );
        tokio::signal::ctrl_c().await?;
        server.stop().await;
        Ok(())
    })
}
