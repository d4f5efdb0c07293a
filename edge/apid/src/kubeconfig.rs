//! The administrator's kubeconfig.

use crate::StartError;
use crate::pki::{Authority, Leaf, write_private};
use base64::Engine;
use std::net::SocketAddr;
use std::path::Path;

/// Name of the cluster, the user and the context.
const NAME: &str = "portolan";

/// Writes the file with everything embedded; only its owner may read it.
pub(crate) fn write(
    path: &Path,
    address: SocketAddr,
    ca: &Authority,
    admin: &Leaf,
) -> Result<(), StartError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(StartError::file(dir))?;
    }
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {NAME}\nclusters:\n- name: {NAME}\n  cluster:\n    server: https://{address}\n    certificate-authority-data: {}\ncontexts:\n- name: {NAME}\n  context:\n    cluster: {NAME}\n    user: {NAME}\nusers:\n- name: {NAME}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        encode(ca.pem()),
        encode(&admin.certificate_pem),
        encode(&admin.key_pem),
    );
    write_private(path, &text)
}
