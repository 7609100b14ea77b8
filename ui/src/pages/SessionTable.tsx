import { Link } from "@tanstack/react-router";
import {
  createColumnHelper,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable,
} from "@tanstack/react-table";
import { useState } from "react";
import type { SessionRow } from "../api/types";
import { personName } from "../lib/words";
import { Ago, Lasted } from "../parts/Time";
import { Visible } from "../parts/Visible";

const column = createColumnHelper<SessionRow>();

const columns = [
  column.accessor((row) => personName(row.principal), {
    id: "caller",
    header: "Caller",
    cell: ({ row, getValue }) => (
      <Link to="/sessions/$id" params={{ id: row.original.id }} className="rowlink">
        <Visible text={getValue()} />
        {row.original.principal.kind !== "user" && <span className="chip">{row.original.principal.kind}</span>}
      </Link>
    ),
  }),
  column.accessor("connection", { header: "Connection", cell: ({ getValue }) => <Visible text={getValue()} /> }),
  column.accessor("exchanges", { header: "Calls", meta: { number: true } }),
  column.accessor("findings", {
    header: "Masked",
    meta: { number: true },
    cell: ({ getValue }) =>
      getValue() > 0 ? <span className="marker masked">{getValue()}</span> : <span className="muted">0</span>,
  }),
  column.accessor("last_end", {
    header: "Ended",
    cell: ({ getValue }) => <End end={getValue()} />,
  }),
  column.accessor("opened_at", {
    header: "Began",
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
  column.display({
    id: "lasted",
    header: "Lasted",
    cell: ({ row: { original } }) => <Lasted from={original.opened_at} to={original.closed_at ?? original.last_at} />,
  }),
  column.accessor("peer", { header: "From", cell: ({ getValue }) => <code>{getValue()}</code> }),
];

export function End({ end }: { end: string | null | undefined }) {
  if (!end) return <span className="muted">under way</span>;
  return <span className={end === "completed" ? "muted" : "badend"}>{end.replaceAll("_", " ")}</span>;
}

/** Sessions as a table, to be sorted by any column. */
export function SessionTable({ rows }: { rows: SessionRow[] }) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const table = useReactTable({
    data: rows,
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getRowId: (row) => row.id,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  return (
    <div className="tablebox">
      <table>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined}
                    className={numeric(header.column.columnDef.meta)}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()}>
                        {flexRender(header.column.columnDef.header, header.getContext())}
                        <span aria-hidden="true">{sorted === "asc" ? " ↑" : sorted === "desc" ? " ↓" : ""}</span>
                      </button>
                    ) : (
                      flexRender(header.column.columnDef.header, header.getContext())
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id}>
              {row.getVisibleCells().map((cell) => (
                <td
                  key={cell.id}
                  className={numeric(cell.column.columnDef.meta)}
                  data-label={String(cell.column.columnDef.header)}
                >
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function numeric(meta: object | undefined): string | undefined {
  return meta && "number" in meta ? "number" : undefined;
}
