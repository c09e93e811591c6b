-- The steps from each version of the schema to the next. SQLite keeps the texts of the tables, and a database is
-- known by them: nothing of a step may change, not even the spaces in front of a line.

-- Version 1
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            code TEXT NOT NULL,
            UNIQUE (source, code)
        ) STRICT
        ;
        CREATE TABLE kline (
            series INTEGER NOT NULL REFERENCES series (id),
            type INTEGER NOT NULL,
            time INTEGER NOT NULL,
            open TEXT NOT NULL,
            high TEXT NOT NULL,
            low TEXT NOT NULL,
            close TEXT NOT NULL,
            volume TEXT NOT NULL,
            turnover TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            incomplete INTEGER NOT NULL,
            PRIMARY KEY (series, type, time)
        ) STRICT, WITHOUT ROWID
        ;
        CREATE TABLE note (
            source TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (source, name)
        ) STRICT, WITHOUT ROWID
        ;

-- Version 2
        CREATE TABLE token (
            id TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            plan TEXT NOT NULL,
            markets TEXT NOT NULL,
            codes TEXT NOT NULL,
            admin INTEGER NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER,
            revoked INTEGER
        ) STRICT, WITHOUT ROWID
        ;
        CREATE TABLE suspension (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            exchange TEXT NOT NULL,
            symbol TEXT NOT NULL,
            publish_date TEXT NOT NULL,
            symbol_name TEXT,
            halt_reason TEXT NOT NULL,
            halt_date TEXT,
            halt_time TEXT,
            halt_period TEXT,
            resume_date TEXT,
            resume_time TEXT,
            source_exchange TEXT,
            pause_threshold_price TEXT,
            UNIQUE (source, exchange, symbol, publish_date)
        ) STRICT
        ;
CREATE INDEX suspension_by_time ON suspension (exchange, publish_date DESC, id DESC);

-- Version 3
ALTER TABLE token ADD COLUMN publish INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE gap (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            market TEXT NOT NULL,
            codes TEXT NOT NULL,
            begin INTEGER NOT NULL,
            end INTEGER,
            reason TEXT NOT NULL,
            filled INTEGER
        ) STRICT
        ;
CREATE INDEX gap_by_time ON gap (begin);
        CREATE TABLE instrument (
            code TEXT PRIMARY KEY,
            definition TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        ;

-- Version 4
ALTER TABLE kline ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE note ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE token ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE suspension ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE gap ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
ALTER TABLE instrument ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
UPDATE note SET checksum = checksum(source, name, value);
UPDATE token SET checksum = checksum(id, digest, name, plan, markets, codes, admin, publish, created, expires, revoked);
UPDATE suspension SET checksum = checksum(id, source, exchange, symbol, publish_date, symbol_name, halt_reason, halt_date, halt_time, halt_period, resume_date, resume_time, source_exchange, pause_threshold_price);
UPDATE gap SET checksum = checksum(id, source, market, codes, begin, end, reason, filled);
UPDATE instrument SET checksum = checksum(code, definition);
