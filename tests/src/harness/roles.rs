//! Whose rights the processes of a fleet have at Postgres.

use std::process::Command;

use super::Fleet;

/// As operators are told to run it.
const ROLES: &str = include_str!("../../../deploy/sql/roles.sql");

impl Fleet {
    /// The executable with the configuration of the fleet, and the rights of one role when the fleet has roles.
    pub fn command_of(&self, role: &str) -> Command {
        let mut command = Command::new(&self.settings.switchboard);
        command.env("SWITCHBOARD_CONFIG", self.dir.join("switchboard.toml"));
        command.envs(self.options.environment.iter().copied());
        if let Some(sabotage) = self.options.sabotage {
            command.env("SWITCHBOARD_SABOTAGE", sabotage);
        }
        if self.options.roles {
            let url = self.postgres.url().replace("switchboard@", &format!("switchboard_{role}@"));
            command.env("SWITCHBOARD_POSTGRES__URL", url);
        }
        command
    }

    /// Every process has the rights of its role alone: none may have asked for more.
    ///
    /// # Panics
    ///
    /// When one did: then deploy/sql/roles.sql lacks a grant.
    pub(super) fn nothing_was_denied(&self) {
        for log in self.postgres.logs() {
            let log = std::fs::read_to_string(log).expect("the server has a log");
            let lines: Vec<&str> = log.lines().collect();
            // The server names the statement in the line after.
            let denied: Vec<_> = lines.windows(2).filter(|pair| pair[0].contains("permission denied")).collect();
            assert!(denied.is_empty(), "deploy/sql/roles.sql lacks a grant: {denied:#?}");
        }
    }

    /// Makes the tables; with roles as docs/operations.md says.
    pub(super) async fn prepare_database(&self) {
        if !self.options.roles {
            self.operate(&["migrate"]);
            return;
        }
        let superuser = super::dump::connect(&self.postgres.url()).await.expect("the database answers");
        let owner = "CREATE ROLE switchboard_owner LOGIN; ALTER DATABASE postgres OWNER TO switchboard_owner";
        superuser.batch_execute(owner).await.expect("a superuser may");
        let migrated = self.command_of("owner").arg("migrate").output().expect("the executable runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        superuser.batch_execute(ROLES).await.expect("the roles can be made");
        // It can be repeated.
        superuser.batch_execute(ROLES).await.expect("the roles can be made again");
    }
}
