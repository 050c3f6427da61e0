//! Set-ups that people run, as they are written: a balancer pair, a pair that
//! stops itself, two masters, and a file with mail.
use crate::bench::Bench;
use crate::lab::Result;
pub fn haproxy_pair(_bench: &mut Bench) -> Result<()> {
    Ok(())
}
pub fn nginx_pair(_bench: &mut Bench) -> Result<()> {
    Ok(())
}
pub fn double_master(_bench: &mut Bench) -> Result<()> {
    Ok(())
}
pub fn mail_file(_bench: &mut Bench) -> Result<()> {
    Ok(())
}
